/** From what was observed of each item to numbers with intervals, over all items and over slices of them. */
import { bootstrapMean, pairedDifference } from '../bootstrap.js';
import { meanEstimate, wilsonEstimate } from '../statistics.js';
import type { Difference, Measured, Measurement, Slice } from './evaluation.js';

/** What was observed of one item: a prompt, a question, a pair. */
export interface Observation {
  /** The same for the same item, whichever policy it is an observation of. */
  readonly item: string;
  readonly value: number;
  /** Fields of the row, by which measurements are sliced. */
  readonly fields?: Readonly<Record<string, unknown>> | undefined;
}

export interface MeasureOptions {
  /** Seeds the draws of the bootstrap. */
  readonly seed: number;
  /** Fields to slice by. */
  readonly slices?: readonly string[];
}

/**
 * A measurement over all items, then one for each value of each field to slice by.
 *
 * Its interval is Wilson's for a share, whose values from 0 to 1 count successes, and else Student's.
 *
 * @returns nothing for no observations
 */
export function measure(
  about: Measured,
  observations: readonly Observation[],
  { seed, slices = [] }: MeasureOptions,
): Measurement[] {
  return sliced(observations, slices).map(({ slice, items }) => {
    const values = items.map(({ value }) => value);
    const sum = () => values.reduce((sum, value) => sum + value, 0);
    return {
      ...about,
      ...(slice && { slice }),
      estimate: about.unit === 'share' ? wilsonEstimate(sum(), values.length) : meanEstimate(values),
      bootstrap: bootstrapMean(values, { seed }),
    };
  });
}

/** The regression table's rows of a measure: differences from the baseline over the items that both were measured on. */
export function differences(
  about: Measured & { readonly against: string },
  observations: readonly Observation[],
  baseline: readonly Observation[],
  { seed, slices = [] }: MeasureOptions,
): Difference[] {
  const before = new Map(baseline.map(({ item, value }) => [item, value]));
  const both = observations.filter(({ item }) => before.has(item));
  return sliced(both, slices).map(({ slice, items }) => ({
    ...about,
    ...(slice && { slice }),
    estimate: pairedDifference(
      items.map(({ item, value }) => ({ a: value, b: before.get(item)! })),
      { seed },
    ),
  }));
}

/** All items, and those of each value of each field, in the order of fields and values; an item without a field is in none of its slices. */
export function sliced<Item extends Pick<Observation, 'fields'>>(
  items: readonly Item[],
  fields: readonly string[],
): { readonly slice?: Slice; readonly items: readonly Item[] }[] {
  if (items.length === 0) return [];
  const slices = fields.flatMap((field) => {
    const byValue = new Map<string, Item[]>();
    for (const item of items) {
      const value = item.fields?.[field];
      if (value === undefined || value === null) continue;
      const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
      const known = byValue.get(text);
      if (known) known.push(item);
      else byValue.set(text, [item]);
    }
    return [...byValue]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([value, items]) => ({ slice: { field, value }, items }));
  });
  return [{ items }, ...slices];
}
