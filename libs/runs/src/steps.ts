/** The items of a step, as it was issued and as they are joined. */
import { type DataFor, itemId, rolloutId, type StepStream, type StreamName } from '@rlhf-streams/events';
import { RunError } from './errors.js';
import { MOST_STEPS } from './methods/every-run.js';
import type { RunConfig } from './methods/index.js';

/** The run whose events a replay trains on. */
export const replayed = (config: RunConfig): string | undefined =>
  'replay' in config ? config.replay : undefined;

/** The run whose events a run is trained on: the replayed run, or itself. */
export const loggedBy = (config: RunConfig): string => replayed(config) ?? config.run;

/**
 * The number of training steps: `steps` where they are configured, else what `epochs` passes over `items` take.
 * @throws RunError TRAINING_CONFIG_INVALID for more than a run may have.
 */
export function trainingSteps(
  { steps, epochs, batchSize }: Pick<RunConfig, 'steps' | 'epochs' | 'batchSize'>,
  items: number,
): number {
  if (steps !== undefined) return steps;
  // In floating point a product may come out slightly above the whole number that it stands for: that makes no step.
  const count = Math.max(1, Math.ceil((epochs! * items) / batchSize - 1e-9));
  if (count <= MOST_STEPS) return count;
  throw new RunError(
    'TRAINING_CONFIG_INVALID',
    `expected epochs to take at most ${MOST_STEPS} steps, got ${count}: ${epochs} passes over ${items} items in batches of ${batchSize}`,
  );
}

export type IssuedStep = DataFor<'step.issued'>;

/** Places of a stream's items among those of its split. */
export const rowsOf = ({ rows }: Pick<StepStream, 'rows'>): readonly number[] =>
  'from' in rows ? Array.from({ length: rows.count }, (_, index) => rows.from + index) : rows;

/** What a stream brings to a step. */
export interface StreamIds {
  readonly stream: StreamName;
  /** Ids of the demonstrations, comparisons, thumbs or prompts that were issued, one for each row. */
  readonly issued: readonly string[];
  /** Ids of the items that are computed: those that were issued, or the rollouts of the prompts. */
  readonly items: readonly string[];
}

/** Ids of the items of a step, in the order in which they are computed. They follow from the event alone. */
export function idsOf({ run, step, streams }: IssuedStep): StreamIds[] {
  let index = 0;
  return streams.map((stream) => {
    const issued = rowsOf(stream).map(() => itemId(run, step, index++));
    const { samples = 1 } = stream;
    const rollouts = (prompt: string) =>
      Array.from({ length: samples }, (_, sample) => rolloutId(prompt, sample));
    const items = stream.kind === 'prompts' ? issued.flatMap(rollouts) : issued;
    return { stream: stream.stream, issued, items };
  });
}

/** The events of one item of a step, joined by its id. */
export interface Item {
  readonly id: string;
  readonly demonstration?: DataFor<'demonstration.recorded'>;
  readonly comparison?: DataFor<'comparison.recorded'>;
  readonly thumb?: DataFor<'thumb.recorded'>;
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
