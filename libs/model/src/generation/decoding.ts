/** What a batch asks of the way in which its tokens are drawn: by the host, or where the engine computes. */
import type { Program, Specs, Workspace } from '@rlhf-streams/tensor';
import type { SampledToken } from '../sampling/sampler.js';
import type { GenerationShape } from './cache.js';
import type { Completion, GenerationRequest } from './request.js';

/** A request, and the promise that its caller waits for. */
export interface Pending {
  readonly request: GenerationRequest;
  readonly deadline: number;
  resolve(completion: Completion): void;
  reject(error: unknown): void;
}

/** A request that has a slot. */
export interface Admitted {
  readonly slot: number;
  readonly pending: Pending;
}

export interface Sequence {
  readonly pending: Pending;
  readonly tokens: number[];
  readonly logprobs: number[];
}

/** Requests for one prompt, which was read into the slot of the first. */
export interface ReadPrompt {
  readonly samples: readonly Admitted[];
  /** The token after it, where it is known already. */
  readonly next?: (request: GenerationRequest) => Draw;
}

/** The next token of a sequence. */
export interface Draw {
  /** Logits [V] that it is drawn from: `onToken` is given them. */
  readonly logits?: Float32Array | undefined;
  /** @throws ModelError MODEL_LOGITS_NOT_FINITE */
  draw(): SampledToken;
}

export interface Drawn extends Draw {
  readonly slot: number;
  readonly sequence: Sequence;
}

export interface Decoding {
  readonly shape: GenerationShape;
  readonly state: Specs;
  readonly programs: Readonly<Record<string, Program>>;
  /** Numbers of slots, the first ones, that a step can be of. They ascend; the last one is all slots. */
  readonly rows: readonly number[];
  /** Numbers of positions, the first ones, that a copy can be of. They ascend; the last one is the capacity. */
  readonly copyLengths: readonly number[];
  /** Reads the prompts of requests for the version in the workspace. */
  read(workspace: Workspace, admitted: readonly Admitted[]): Promise<readonly ReadPrompt[]>;
  /**
   * Some tokens further.
   * @param sequences by their slots
   * @param stepping the slots whose sequences go on: those of the version in the workspace
   * @returns the tokens of each sequence in their order; it may have ended with an earlier one
   */
  step(
    workspace: Workspace,
    sequences: readonly (Sequence | undefined)[],
    stepping: readonly number[],
  ): Promise<readonly Drawn[]>;
}

/** Tokens in the cache: of the prompt and the completion all but the newest. */
export const cachedOf = ({ pending, tokens }: Sequence): number =>
  pending.request.promptTokens.length + tokens.length - 1;

export const newestOf = ({ pending, tokens }: Sequence): number =>
  tokens.at(-1) ?? pending.request.promptTokens.at(-1)!;

/** Tokens of the prompt that is common to requests. */
export const lengthOf = ([first]: readonly Admitted[]): number => first!.pending.request.promptTokens.length;
