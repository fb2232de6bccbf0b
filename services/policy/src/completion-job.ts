/** A request for completions, prepared: its prompts as tokens, and for each completion what it is sampled by. */
import type { EncodedPrompt } from '@rlhf-streams/model/tokenizer';
import { type ProblemError, problem } from '@rlhf-streams/service';
import type { Piece } from './completion-text.js';
import type { LoadedPolicy } from './follower.js';
import { type Asked, tokensToGenerate } from './openai-parameters.js';
import type { Completed, CompletionWork, Prompt } from './thread.js';

export const TIMEOUT_MS = 120_000;

export interface CompletionJob {
  readonly request: Asked;
  readonly policy: LoadedPolicy;
  readonly seed: number;
  readonly choices: readonly Choice[];
  readonly promptTokens: number;
}

interface Choice {
  readonly work: CompletionWork;
  /** The prompt, when `echo` asks for it. */
  readonly opening?: Piece;
  /** Where in the text the completion begins, in Unicode characters. */
  readonly offset: number;
}

/** Called with each piece of the choice with this index; the last piece comes with its finish reason. */
export type Tell = (index: number, piece: Piece, finishReason: Completed['finishReason'] | null) => void;

/**
 * The n-th completion of a prompt has the same draws whatever else is asked for with it.
 * @throws ProblemError CONTEXT_LENGTH_EXCEEDED; what the policy throws.
 */
export async function prepareJob(
  policy: LoadedPolicy,
  request: Asked,
  asked: readonly Prompt[],
  signal: AbortSignal,
): Promise<CompletionJob> {
  const { prompts, stopTokens, contextLength } = await policy.encode(asked);
  const seed = request.seed ?? Math.floor(Math.random() * 2 ** 32);
  const lengths = prompts.map(({ tokens }, index) => {
    const length = tokensToGenerate(request, tokens.length, contextLength);
    if (length === undefined) throw tooLong(request, nameOf(asked, index), tokens.length, contextLength);
    return length;
  });
  const openings = await Promise.all(prompts.map((prompt) => openingOf(policy, request, prompt, signal)));
  const samples = new Map<string, number>();
  const choices = prompts.flatMap(({ tokens, text }, index) =>
    Array.from({ length: request.n }, (): Choice => {
      const key = tokens.join();
      const sample = samples.get(key) ?? 0;
      samples.set(key, sample + 1);
      const opening = openings[index];
      return {
        work: {
          promptTokens: tokens,
          sampling: {
            temperature: request.temperature,
            // OpenAI allows 0, which leaves the likeliest token alone: so does the smallest number.
            topP: request.top_p || Number.MIN_VALUE,
            topK: request.top_k,
            maxNewTokens: lengths[index]!,
            stopTokens: [...stopTokens],
          },
          seed,
          draws: `completion/${sample}`,
          timeoutMs: TIMEOUT_MS,
          stops: request.stop,
          ...(request.logprobs !== undefined && { logprobs: request.logprobs }),
        },
        ...(opening && { opening }),
        offset: [...text].length,
      };
    }),
  );
  const promptTokens = prompts.reduce((sum, { tokens }) => sum + tokens.length, 0);
  return { request, policy, seed, choices, promptTokens };
}

/** Generates all choices, and calls `tell` with each piece as it comes. Resolves to the number of tokens in all completions. */
export async function generate(job: CompletionJob, signal: AbortSignal, tell: Tell): Promise<number> {
  const counts = await Promise.all(
    job.choices.map(async ({ opening, offset, work }, index) => {
      if (opening) tell(index, opening, null);
      const told = { text: 0, tokens: 0 };
      const tellPiece = ({ text, tokens }: Piece, finishReason: Completed['finishReason'] | null) => {
        told.text += text.length;
        told.tokens += tokens.length;
        tell(
          index,
          { text, tokens: tokens.map((token) => ({ ...token, offset: token.offset + offset })) },
          finishReason,
        );
      };
      const completed =
        work.sampling.maxNewTokens > 0
          ? await job.policy.complete(work, { signal, onPiece: (piece) => tellPiece(piece, null) })
          : NOTHING;
      const rest = { text: completed.text.slice(told.text), tokens: completed.tokens.slice(told.tokens) };
      tellPiece(rest, completed.finishReason);
      return completed.count;
    }),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

const NOTHING: Completed = { text: '', tokens: [], finishReason: 'length', count: 0 };

async function openingOf(
  policy: LoadedPolicy,
  { echo, logprobs }: Asked,
  prompt: EncodedPrompt,
  signal: AbortSignal,
): Promise<Piece | undefined> {
  if (!echo) return undefined;
  if (logprobs === undefined) return { text: prompt.text, tokens: [] };
  const tokens = await policy.judge({ prompt, logprobs, timeoutMs: TIMEOUT_MS }, { signal });
  return { text: prompt.text, tokens };
}

/** The parameter that a prompt came in. */
function nameOf(asked: readonly Prompt[], index: number): string {
  const prompt = asked[index]!;
  if (typeof prompt === 'object' && 'messages' in prompt) return 'messages';
  return asked.length > 1 ? `prompt[${index}]` : 'prompt';
}

function tooLong(
  { maxTokens }: Asked,
  which: string,
  promptTokens: number,
  contextLength: number,
): ProblemError {
  const [wanted, advice] =
    maxTokens === undefined ? ['', ''] : [` and ${maxTokens} in max_tokens`, ', or ask for fewer tokens'];
  const detail = `expected a prompt and its completion to be at most ${contextLength} tokens, the model's context length, got ${promptTokens} in ${which}${wanted}: shorten it${advice}`;
  const path = promptTokens < contextLength ? 'max_tokens' : which;
  return problem(400, 'CONTEXT_LENGTH_EXCEEDED', 'The request is longer than the context', detail, {
    errors: [{ path, message: detail, code: 'too_big' }],
  });
}
