import { epochOrder } from '@rlhf-streams/data';

/** Items in the order of a pass over them; passes are counted through all steps of a run. */
export const shuffled = <T>(items: readonly T[], seed: number, pass: number): T[] =>
  Array.from(epochOrder(items.length, seed, pass), (i) => items[i]!);

/** At most `parts` consecutive slices of nearly equal size, none of them empty. */
export function split<T>(items: readonly T[], parts: number): T[][] {
  const size = Math.ceil(items.length / parts);
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) =>
    items.slice(i * size, (i + 1) * size),
  );
}
