/** Completions in OpenAI's legacy shape, at once or in chunks. */
import { randomUUID } from 'node:crypto';
import { type CompletionJob, generate } from './completion-job.js';
import type { Piece } from './completion-text.js';
import type { Completed } from './thread.js';

/** All choices in one answer. */
export async function answerOf(job: CompletionJob, signal: AbortSignal) {
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
  object: 'text_completion',
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
