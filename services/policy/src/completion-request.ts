/** What OpenAI's clients send to /v1/completions. A parameter that is not supported is refused by its name. */
import { z } from 'zod';
import {
  type Asked,
  MOST_COMPLETIONS,
  optional,
  optionalOr,
  STREAM_OPTIONS_ALONE,
  samplingParameters,
  unsupported,
} from './openai-parameters.js';

/** OpenAI's. */
const DEFAULT_MAX_TOKENS = 16;

const Tokens = z.array(z.int().min(0)).min(1);
const Prompts = z.union(
  [
    z.string().transform((text) => [text]),
    z.array(z.string()).min(1),
    Tokens.transform((tokens) => [tokens]),
    z.array(Tokens).min(1),
  ],
  {
    error:
      'expected a text, a list of texts, a list of token ids, or a list of lists of token ids, none of them empty',
  },
);

export const CompletionRequest = z
  .strictObject({
    ...samplingParameters,
    prompt: optionalOr(Prompts, ['']),
    max_tokens: optional(z.int().min(0)),
    best_of: optional(z.int().min(1)),
    logprobs: optional(z.int().min(0).max(5)),
    echo: optionalOr(z.boolean(), false),
    suffix: unsupported(''),
  })
  .superRefine((request, context) => {
    const { prompt, n, best_of, stream, stream_options } = request;
    const refuse = (parameter: keyof typeof request, message: string) =>
      context.addIssue({ code: 'custom', path: [parameter], message });
    if (best_of !== undefined && best_of !== n)
      refuse(
        'best_of',
        `more completions than are returned are not supported: expected n, ${n}, got ${best_of}`,
      );
    if (prompt.length * n > MOST_COMPLETIONS)
      refuse(
        'n',
        `expected at most ${MOST_COMPLETIONS} completions, got ${prompt.length} prompts with ${n} each`,
      );
    if (stream_options && !stream) refuse('stream_options', STREAM_OPTIONS_ALONE);
  })
  .transform(({ max_tokens, ...request }) => ({
    ...request,
    maxTokens: max_tokens,
    defaultMaxTokens: DEFAULT_MAX_TOKENS,
  }))
  .meta({ id: 'CompletionRequest' });
export type CompletionRequest = z.output<typeof CompletionRequest> & Asked;
