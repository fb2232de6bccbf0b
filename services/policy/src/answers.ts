/** Answers of OpenAI's endpoints, at once or in chunks, in the words of each endpoint. */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { type CompletionJob, generate } from './completion-job.js';
import type { Piece } from './completion-text.js';
import type { Asked } from './openai-parameters.js';
import type { Completed } from './thread.js';

export type FinishReason = Completed['finishReason'];

/** How an endpoint words what is generated. */
export interface Wording<Choice extends object> {
  /** What its ids begin with. */
  readonly prefix: string;
  /** Names of an answer and of a chunk. */
  readonly object: string;
  readonly chunkObject: string;
  choice(request: Asked, index: number, piece: Piece, finishReason: FinishReason): Choice;
  /** The chunk that a choice begins with, before anything of it is known. */
  opening?(index: number): object;
  /** The chunks of a piece; the last piece of a choice comes with its finish reason. */
  chunks(request: Asked, index: number, piece: Piece, finishReason: FinishReason | null): readonly object[];
}

/** Fields of an answer, whatever the endpoint. */
export const answerFields = {
  id: z.string(),
  created: z.int().describe('seconds'),
  model: z.string().describe('the run'),
  policy_version: z.int().describe('of the run, that answered'),
  seed: z.int().describe('with which the same request has the same answer'),
  usage: z.object({
    prompt_tokens: z.int(),
    completion_tokens: z.int(),
    total_tokens: z.int(),
  }),
};

/** All choices in one answer. */
export async function answerOf<Choice extends object>(
  wording: Wording<Choice>,
  job: CompletionJob,
  signal: AbortSignal,
) {
  const pieces = job.choices.map((): Piece[] => []);
  const reasons: (FinishReason | null)[] = [];
  const completionTokens = await generate(job, signal, (index, piece, finishReason) => {
    pieces[index]!.push(piece);
    reasons[index] = finishReason;
  });
  const choices = pieces.map((each, index) => {
    const text = each.map(({ text }) => text).join('');
    const tokens = each.flatMap(({ tokens }) => tokens);
    return wording.choice(job.request, index, { text, tokens }, reasons[index]!);
  });
  return { ...headOf(wording, wording.object, job), choices, usage: usageOf(job, completionTokens) };
}

/** Sends each piece of a choice in a chunk of its own, and the usage at the end when the request asks for it. */
export async function sendChunks(
  wording: Wording<object>,
  job: CompletionJob,
  signal: AbortSignal,
  send: (chunk: object) => void,
): Promise<void> {
  const head = headOf(wording, wording.chunkObject, job);
  const withUsage = job.request.stream_options?.include_usage;
  const sendChoice = (choice: object) =>
    send({ ...head, choices: [choice], ...(withUsage && { usage: null }) });
  if (wording.opening) for (const index of job.choices.keys()) sendChoice(wording.opening(index));
  const completionTokens = await generate(job, signal, (index, piece, finishReason) => {
    for (const choice of wording.chunks(job.request, index, piece, finishReason)) sendChoice(choice);
  });
  if (withUsage) send({ ...head, choices: [], usage: usageOf(job, completionTokens) });
}

const headOf = ({ prefix }: Pick<Wording<object>, 'prefix'>, object: string, job: CompletionJob) => ({
  id: `${prefix}${randomUUID()}`,
  object,
  created: Math.floor(Date.now() / 1000),
  model: job.request.model,
  policy_version: job.policy.version,
  seed: job.seed,
});

const usageOf = ({ promptTokens }: CompletionJob, completionTokens: number) => ({
  prompt_tokens: promptTokens,
  completion_tokens: completionTokens,
  total_tokens: promptTokens + completionTokens,
});
