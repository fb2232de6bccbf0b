/** The tensors of a model with an adapter: those of its base, which stand still, and the adapter's own. */
import type { LearnedTensor } from '../architecture.js';
import { architectureOf } from '../architectures/index.js';
import { adapterNames } from '../architectures/linear.js';
import type { ModelConfig } from '../model-config.js';
import { isSaved } from './targets.js';

export interface ModelTensor extends LearnedTensor {
  /** Whether it is the base's and not the adapter's: it is read where the base lies, and never changed. */
  readonly frozen: boolean;
}

/**
 * Every tensor of a model by its name: those of the architecture, then A [rank, from] and B [to, rank] of each map that the
 * adapter is on, in the order of the layers. A model without an adapter has no frozen ones.
 *
 * A starts as PEFT's does, uniform within 1 / sqrt(from), and B at 0: a new adapter changes nothing. Weight decay applies to
 * both, as in PEFT with transformers' Trainer.
 */
export function tensorsOf(config: ModelConfig): Map<string, ModelTensor> {
  const { tensors } = architectureOf(config);
  const { adapter } = config;
  const all = new Map(
    [...tensors(config)].map(([name, tensor]) => [
      name,
      { ...tensor, frozen: adapter !== undefined && !isSaved(config, adapter, name) },
    ]),
  );
  for (const [name, tensor] of lowRankTensors(config)) all.set(name, tensor);
  return all;
}

/** Names and shapes of the tensors that are the adapter's own; none where the model has no adapter. */
export const adapterTensors = (config: ModelConfig): Map<string, ModelTensor> =>
  new Map(config.adapter ? [...tensorsOf(config)].filter(([, { frozen }]) => !frozen) : []);

/** Whether a tensor of the model is its adapter's, and not its base's. */
export const isOfAdapter = (config: ModelConfig, name: string): boolean => adapterTensors(config).has(name);

/** The numbers of A and B of all maps together. */
export const lowRankCount = (config: ModelConfig): number =>
  lowRankTensors(config).reduce((sum, [, { shape }]) => sum + shape[0]! * shape[1]!, 0);

function lowRankTensors(config: ModelConfig): [string, ModelTensor][] {
  const { adapter } = config;
  if (!adapter) return [];
  const { rank } = adapter;
  const targets = new Set(adapter.targetModules);
  const learned = { decay: true, ofHead: false, frozen: false };
  return [...architectureOf(config).linears(config)].flatMap(([name, { from, to }]) => {
    if (!targets.has(name)) return [];
    const { a, b } = adapterNames(name);
    return [
      [a, { shape: [rank, from], initial: { bound: 1 / Math.sqrt(from) }, ...learned }],
      [b, { shape: [to, rank], initial: { constant: 0 }, ...learned }],
    ] as [string, ModelTensor][];
  });
}
