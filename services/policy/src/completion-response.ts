/** Completions in OpenAI's legacy shape. */
import { z } from 'zod';
import { answerFields, type FinishReason, type Wording } from './answers.js';
import type { Piece, TokenReport } from './completion-text.js';
import type { Asked } from './openai-parameters.js';

const Choice = z.object({
  index: z.int(),
  text: z.string(),
  logprobs: z
    .object({
      tokens: z.array(z.string()),
      token_logprobs: z.array(z.number().nullable()),
      top_logprobs: z.array(z.record(z.string(), z.number()).nullable()),
      text_offset: z.array(z.int()).describe('in Unicode characters, from the beginning of the prompt'),
    })
    .nullable(),
  finish_reason: z.enum(['stop', 'length']).nullable().describe('null in a chunk that others follow'),
});
type Choice = z.output<typeof Choice>;

export const Completion = z
  .object({ ...answerFields, object: z.literal('text_completion'), choices: z.array(Choice) })
  .meta({ id: 'Completion' });

export const completionExample: z.output<typeof Completion> = {
  id: 'cmpl-6f1c2a9e-4a0b-4f0e-9c55-0b1f6a3d2e10',
  object: 'text_completion',
  created: 1_772_442_847,
  model: 'ppo-reviews',
  policy_version: 42,
  seed: 7,
  choices: [{ index: 0, text: ' wonderful.', logprobs: null, finish_reason: 'stop' }],
  usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 },
};

export const completionWording: Wording<Choice> = {
  prefix: 'cmpl-',
  object: 'text_completion',
  chunkObject: 'text_completion',
  choice: choiceOf,
  chunks: (...piece) => [choiceOf(...piece)],
};

function choiceOf(
  { logprobs }: Pick<Asked, 'logprobs'>,
  index: number,
  { text, tokens }: Piece,
  finishReason: FinishReason | null,
): Choice {
  const told = {
    tokens: tokens.map(({ token }) => token),
    token_logprobs: tokens.map(({ logprob }) => logprob ?? null),
    top_logprobs: tokens.map(topOf),
    text_offset: tokens.map(({ offset }) => offset),
  };
  return { index, text, logprobs: logprobs === undefined ? null : told, finish_reason: finishReason };
}

/** Log-probs of the likeliest tokens, and of the one that came, by their text. */
function topOf({ token, logprob, likeliest }: TokenReport): Record<string, number> | null {
  if (logprob === undefined || !likeliest) return null;
  return Object.fromEntries([...likeliest.map((other) => [other.token, other.logprob]), [token, logprob]]);
}
