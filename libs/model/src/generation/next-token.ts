/** What a request makes of the distribution of its next token. */
import { uniform } from '../sampling/rollout-draws.js';
import { givenToken, type NextToken, sampleToken } from '../sampling/sampler.js';
import type { Draw } from './decoding.js';
import type { GenerationRequest } from './request.js';

/** Whether what becomes of the next token depends on more than its probabilities. */
export const needsLogits = ({ sampling, given, logits }: GenerationRequest): boolean =>
  sampling.temperature === 0 || given !== undefined || logits === true;

/** The token of a completion at a position: the given one, or one that is drawn. */
export const nextToken = (
  { given, sampling, key }: GenerationRequest,
  position: number,
  next: NextToken,
): Draw => ({
  logits: next.logits,
  draw() {
    const token = given?.[position];
    return token === undefined
      ? sampleToken(next, sampling, uniform(key, position))
      : givenToken(next, token, sampling);
  },
});
