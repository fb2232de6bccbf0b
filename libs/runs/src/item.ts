import type { DataFor } from '@rlhf-streams/events';
import { RunError } from './errors.js';

/** What the events of a step say of one item, joined by its id. */
export interface Item {
  readonly id: string;
  readonly demonstration?: DataFor<'demonstration.recorded'>;
  readonly comparison?: DataFor<'comparison.recorded'>;
  readonly rollout?: DataFor<'rollout.generated'>;
  readonly reward?: DataFor<'reward.scored'>;
  readonly reference?: DataFor<'reference.scored'>;
}

type Part = Exclude<keyof Item, 'id'>;

/** An item known to have the parts a method joins. */
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
