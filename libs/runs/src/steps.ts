/** The items of a step and the number of steps, as every service counts them. */
import { type DataFor, itemId, rolloutId } from '@rlhf-streams/events';
import { RunError } from './errors.js';
import { type RunConfig, specOf } from './methods/index.js';

/** The run whose events a replay trains on. */
export const replayed = (config: RunConfig): string | undefined =>
  'replay' in config ? config.replay : undefined;

/** The run whose events a run is trained on: the replayed run, or itself. */
export const loggedBy = (config: RunConfig): string => replayed(config) ?? config.run;

/**
 * Ids of the items a step is made of, in the order they are computed. Step `config.steps`, after the last training
 * step, evaluates the `testItems` held-out items.
 */
export function itemsOf(config: RunConfig, step: number, testItems: number): string[] {
  const count = step < config.steps ? config.batchSize : testItems;
  const ids = Array.from({ length: count }, (_, index) => itemId(loggedBy(config), step, index));
  const { data } = specOf(config);
  if (data.kind !== 'prompts') return ids;
  return ids.flatMap((prompt) =>
    Array.from({ length: data.samples }, (_, sample) => rolloutId(prompt, sample)),
  );
}

/**
 * Training steps, and one more where there are held-out items. `steps` are the training steps as `run.started` says
 * them: a replay of a run that ended early has fewer than its configuration.
 */
export const stepsOf = (config: RunConfig, testItems: number, steps = config.steps): number =>
  steps + (testItems > 0 ? 1 : 0);

/** The oldest policy version that may generate the prompts of a step: the staleness bound. */
export function minPolicyVersion(config: RunConfig, step: number): number {
  const { onPolicy, ahead } = specOf(config);
  return onPolicy ? Math.max(0, step - ahead) : 0;
}

/** The events of one item of a step, joined by its id. */
export interface Item {
  readonly id: string;
  readonly demonstration?: DataFor<'demonstration.recorded'>;
  readonly comparison?: DataFor<'comparison.recorded'>;
  readonly rollout?: DataFor<'rollout.generated'>;
  readonly reward?: DataFor<'reward.scored'>;
  readonly reference?: DataFor<'reference.scored'>;
}

type Part = Exclude<keyof Item, 'id'>;

/** An item that has the given parts. */
export type Joined<Parts extends Part> = Item & { readonly [Name in Parts]-?: NonNullable<Item[Name]> };

/** @throws RunError TRAINING_ITEM_INCOMPLETE naming the item and what it lacks. */
export function joined<const Parts extends readonly Part[]>(
  items: readonly Item[],
  ...parts: Parts
): Joined<Parts[number]>[] {
  for (const item of items) {
    const missing = parts.find((part) => item[part] === undefined);
    if (missing)
      throw new RunError('TRAINING_ITEM_INCOMPLETE', `expected item ${item.id} to have its ${missing}`);
  }
  return items as Joined<Parts[number]>[];
}
