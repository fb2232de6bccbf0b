/** What a scorer is given, and what it says of it. */
import type { Message, Tools } from '@rlhf-streams/events';
import { ScorerError } from './errors.js';

/** A completion that is to be scored. */
export interface ScorerItem {
  readonly prompt: string;
  readonly completion: string;
  /** The completion in tokens of the policy, its end token included; absent of a text that no policy sampled. */
  readonly tokens?: readonly number[];
  /** The conversation that the prompt was made of. */
  readonly messages?: readonly Message[];
  /** What the assistant may call in it. */
  readonly tools?: Tools;
  /** Of the prompt, as its data have it. */
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** A finite score. Its parts, by name, say what it was made of: they are reported and train nothing. */
export interface Score {
  readonly score: number;
  readonly parts?: Readonly<Record<string, number | null>>;
}

/** A score; null of a scorer that does not apply to the completion; or why there is none. */
export type Answer = Score | null | ScorerError;

export const isFailure = (answer: Answer): answer is ScorerError => answer instanceof ScorerError;
