import type { DataFor, StreamName } from '@rlhf-streams/events';
import type { ModelConfig } from '@rlhf-streams/model';
import type { ConfigOf, Item, MethodName } from '@rlhf-streams/runs';
import type { Models, Role } from '../trainer/layout.js';
import type { Programs } from '../trainer/program.js';
import type { Trainer } from '../trainer/trainer.js';
import type { Limits } from './rows.js';

export type Metrics = Record<string, number>;

/** What a step found out about one of its items. `item` is its id; every item of a step has the same keys. */
export type ItemResult = Readonly<Record<string, string | number | readonly number[]>> & {
  readonly item: string;
};

/** What a method carries from step to step besides parameters: plain JSON, part of every checkpoint. */
export type Carry = Readonly<Record<string, number>>;

/** The results of a step. */
export interface StepResult {
  readonly metrics: Metrics;
  readonly carry: Carry;
  /** What the step computed of each item that it learned from. */
  readonly results?: readonly ItemResult[];
  /** Comparisons that the step made, published with it. */
  readonly comparisons?: readonly DataFor<'comparison.recorded'>[];
}

export interface Step<Name extends MethodName> {
  /** With the number of its steps, which learning rates follow. */
  readonly config: ConfigOf<Name> & { readonly steps: number };
  /** Number of the step, from 0. */
  readonly step: number;
  readonly trainer: Trainer;
  readonly carry: Carry;
}

/** The items of a step's further streams, by name: a step has those that are scheduled for it. */
export type Beside = { readonly [Name in Exclude<StreamName, 'train' | 'evaluation'>]?: readonly Item[] };

/**
 * What a method does with the items of a step; which models it trains is in its spec. Items come in the order of
 * their ids; the result is a function of configuration, step, trainer state, carry and items alone.
 */
export interface Method<Name extends MethodName = MethodName> {
  /** The carry before the first step. */
  readonly start: (config: ConfigOf<Name>) => Carry;
  /** Every program that its steps ask the trainer for. */
  readonly programs: (config: ConfigOf<Name>, models: Models) => Programs;
  /** Learns from the items of a step: those of stream `train`, and of further streams that the spec has. */
  readonly update: (step: Step<Name>, items: readonly Item[], beside: Beside) => Promise<StepResult>;
  /** Measures held-out items: those of a dataset by the weights after a step, rollouts by what came with them. */
  readonly evaluate?: (step: Step<Name>, items: readonly Item[]) => Promise<Metrics>;
  /** What the published model's config says of the last step. Default: nothing. */
  readonly published?: (config: ModelConfig, carry: Carry) => ModelConfig;
}

/** The metrics of held-out items, as evaluations report them. */
export const ofHeldOut = (metrics: Metrics): Metrics =>
  Object.fromEntries(Object.entries(metrics).map(([name, value]) => [`eval/${name}`, value]));

/** The model of a step that has a role. */
const modelOf = (trainer: Trainer, role: Role): ModelConfig => trainer.layout.models[role]!;

/** What the shapes of a step's micro-batches follow from. */
export const limitsOf = (
  { trainer, config }: Pick<Step<MethodName>, 'trainer' | 'config'>,
  role: Role,
): Limits => ({
  microBatchSize: config.microBatchSize,
  microBatchTokens: 'microBatchTokens' in config ? config.microBatchTokens : undefined,
  contextLength: modelOf(trainer, role).contextLength,
});

/** Results in the order of a step's items, whatever the micro-batches they come from. */
export function inItemOrder(results: readonly ItemResult[], items: readonly Item[]): ItemResult[] {
  const places = new Map(items.map(({ id }, place) => [id, place]));
  return results.toSorted((a, b) => places.get(a.item)! - places.get(b.item)!);
}
