/** Answers to conversations in OpenAI's shape. */
import { z } from 'zod';
import { answerFields, type FinishReason, type Wording } from './answers.js';
import type { Piece, TokenInWords, TokenReport } from './completion-text.js';
import type { Asked } from './openai-parameters.js';

const tokenLogprob = {
  token: z.string(),
  logprob: z.number(),
  bytes: z
    .array(z.int())
    .nullable()
    .describe('UTF-8; of some tokens a part of a character; null of special tokens'),
};
const Logprobs = z.object({
  content: z.array(z.object({ ...tokenLogprob, top_logprobs: z.array(z.object(tokenLogprob)) })),
  refusal: z.null(),
});
const Choice = z.object({
  index: z.int(),
  message: z.object({ role: z.literal('assistant'), content: z.string(), refusal: z.null() }),
  logprobs: Logprobs.nullable(),
  finish_reason: z.enum(['stop', 'length']),
});
type Choice = z.output<typeof Choice>;

export const ChatCompletion = z
  .object({ ...answerFields, object: z.literal('chat.completion'), choices: z.array(Choice) })
  .meta({ id: 'ChatCompletion' });

const head = {
  id: 'chatcmpl-6f1c2a9e-4a0b-4f0e-9c55-0b1f6a3d2e10',
  created: 1_772_442_847,
  model: 'ppo-reviews',
  policy_version: 42,
  seed: 7,
};

export const chatExample: z.output<typeof ChatCompletion> = {
  ...head,
  object: 'chat.completion',
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: 'Hello!', refusal: null },
      logprobs: null,
      finish_reason: 'stop',
    },
  ],
  usage: { prompt_tokens: 12, completion_tokens: 2, total_tokens: 14 },
};

export const chatChunkExample = {
  ...head,
  object: 'chat.completion.chunk',
  choices: [{ index: 0, delta: { content: 'Hello' }, logprobs: null, finish_reason: null }],
};

export const chatWording: Wording<Choice> = {
  prefix: 'chatcmpl-',
  object: 'chat.completion',
  chunkObject: 'chat.completion.chunk',
  choice: (request, index, piece, finishReason) => ({
    index,
    message: { role: 'assistant', content: piece.text, refusal: null },
    logprobs: logprobsOf(request, piece),
    finish_reason: finishReason,
  }),
  opening: (index) => deltaOf(index, { role: 'assistant', content: '' }),
  chunks(request, index, piece, finishReason) {
    const says = piece.text !== '' || piece.tokens.length > 0;
    const content = { ...deltaOf(index, { content: piece.text }), logprobs: logprobsOf(request, piece) };
    return [...(says ? [content] : []), ...(finishReason ? [deltaOf(index, {}, finishReason)] : [])];
  },
};

const deltaOf = (index: number, delta: object, finishReason: FinishReason | null = null) => ({
  index,
  delta,
  logprobs: null,
  finish_reason: finishReason,
});

const logprobsOf = ({ logprobs }: Pick<Asked, 'logprobs'>, { tokens }: Piece): Choice['logprobs'] =>
  logprobs === undefined ? null : { content: tokens.map(tokenOf), refusal: null };

/** Every token of a completion has a log-prob: the prompt comes before it. */
const tokenOf = ({ likeliest, logprob, ...token }: TokenReport) => ({
  ...wordsOf(token, logprob!),
  top_logprobs: likeliest!.map((other) => wordsOf(other, other.logprob)),
});

const wordsOf = ({ token, bytes }: TokenInWords, logprob: number) => ({
  token,
  logprob,
  bytes: bytes && [...bytes],
});
