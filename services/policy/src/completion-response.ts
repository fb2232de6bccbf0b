/** Completions in OpenAI's legacy shape, at once or in chunks. */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { type CompletionJob, generate } from './completion-job.js';
import type { Piece } from './completion-text.js';
import type { Completed } from './thread.js';

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

export const Completion = z
  .object({
    id: z.string(),
    object: z.literal('text_completion'),
    created: z.int().describe('seconds'),
    model: z.string().describe('the run'),
    policy_version: z.int().describe('of the run, that answered'),
    seed: z.int().describe('with which the same request has the same answer'),
    choices: z.array(Choice),
    usage: z.object({
      prompt_tokens: z.int(),
      completion_tokens: z.int(),
      total_tokens: z.int(),
    }),
  })
  .meta({ id: 'Completion' });
type Completion = z.output<typeof Completion>;

export const completionExample: Completion = {
  id: 'cmpl-6f1c2a9e-4a0b-4f0e-9c55-0b1f6a3d2e10',
  object: 'text_completion',
  created: 1_772_442_847,
  model: 'ppo-reviews',
  policy_version: 42,
  seed: 7,
  choices: [{ index: 0, text: ' wonderful.', logprobs: null, finish_reason: 'stop' }],
  usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 },
};

/** All choices in one answer. */
export async function answerOf(job: CompletionJob, signal: AbortSignal): Promise<Completion> {
  const pieces = job.choices.map((): Piece[] => []);
  const reasons: (Completed['finishReason'] | null)[] = [];
  const completionTokens = await generate(job, signal, (index, piece, finishReason) => {
    pieces[index]!.push(piece);
    reasons[index] = finishReason;
  });
  const choices = pieces.map((each, index) => {
    const text = each.map(({ text }) => text).join('');
    const tokens = each.flatMap(({ tokens }) => tokens);
    return choiceOf(job, index, { text, tokens }, reasons[index]!);
  });
  return { ...headOf(job), choices, usage: usageOf(job, completionTokens) };
}

/** Sends each piece of a choice in a chunk of its own, and the usage at the end when the request asks for it. */
export async function sendChunks(
  job: CompletionJob,
  signal: AbortSignal,
  send: (chunk: object) => void,
): Promise<void> {
  const head = headOf(job);
  const withUsage = job.request.stream_options?.include_usage;
  const completionTokens = await generate(job, signal, (index, piece, finishReason) => {
    const choices = [choiceOf(job, index, piece, finishReason)];
    send({ ...head, choices, ...(withUsage && { usage: null }) });
  });
  if (withUsage) send({ ...head, choices: [], usage: usageOf(job, completionTokens) });
}

const headOf = ({ request, policy, seed }: CompletionJob) => ({
  id: `cmpl-${randomUUID()}`,
  object: 'text_completion' as const,
  created: Math.floor(Date.now() / 1000),
  model: request.model,
  policy_version: policy.version,
  seed,
});

const choiceOf = (
  { request }: CompletionJob,
  index: number,
  { text, tokens }: Piece,
  finishReason: Completed['finishReason'] | null,
) => ({
  index,
  text,
  logprobs:
    request.logprobs === undefined
      ? null
      : {
          tokens: tokens.map(({ token }) => token),
          token_logprobs: tokens.map(({ logprob }) => logprob ?? null),
          top_logprobs: tokens.map(({ top }) => top ?? null),
          text_offset: tokens.map(({ offset }) => offset),
        },
  finish_reason: finishReason,
});

const usageOf = ({ promptTokens }: CompletionJob, completionTokens: number) => ({
  prompt_tokens: promptTokens,
  completion_tokens: completionTokens,
  total_tokens: promptTokens + completionTokens,
});
