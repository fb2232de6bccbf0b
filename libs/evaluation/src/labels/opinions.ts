/** What labelers say, as categories of the same items, so that it can be told how far they agree. */
import { itemOf, type Label, labelFlags } from './label.js';

/** What one labeler says of one item. */
export interface Opinion {
  /** A completion, or for `preference` a pair of completions of one prompt. */
  readonly item: string;
  readonly labeler: string;
  /** `yes`, `no`, a quality, or which of a pair is better: `first`, `second` or `tie`. */
  readonly says: string;
  /** The labels of the two completions that a `preference` compares; other measures have none. */
  readonly pair?: readonly [first: Label, second: Label];
}

/** Opinions by measure: `preference`, `overall_quality` and the yes-or-no columns, where there are any. */
export function opinionsOf(labels: readonly Label[]): ReadonlyMap<string, readonly Opinion[]> {
  const single = (measure: 'overall_quality' | (typeof labelFlags)[number]): Opinion[] =>
    labels.flatMap((label) => {
      const value = label[measure];
      if (value === undefined) return [];
      const says = typeof value === 'boolean' ? (value ? 'yes' : 'no') : String(value);
      return [{ item: itemOf(label), labeler: label.labeler, says }];
    });
  const all: [string, Opinion[]][] = [
    ['preference', preferencesOf(labels)],
    ['overall_quality', single('overall_quality')],
    ...labelFlags.map((flag): [string, Opinion[]] => [flag, single(flag)]),
  ];
  return new Map(all.filter(([, opinions]) => opinions.length > 0));
}

/**
 * What each labeler prefers of every two completions of a prompt: by their ranks where both have one, and else by their
 * overall quality; nothing where they have neither in common.
 */
function preferencesOf(labels: readonly Label[]): Opinion[] {
  return [...byLabelerAndPrompt(labels)].flatMap((judged) => {
    const inOrder = judged
      .map((label) => ({ label, item: itemOf(label) }))
      .sort((a, b) => (a.item < b.item ? -1 : 1));
    return inOrder.flatMap((first, place) =>
      inOrder.slice(place + 1).flatMap((second): Opinion[] => {
        const better = betterBy(first.label, second.label);
        if (better === undefined) return [];
        return [
          {
            item: JSON.stringify([first.item, second.item]),
            labeler: first.label.labeler,
            says: preferenceOf(better),
            pair: [first.label, second.label],
          },
        ];
      }),
    );
  });
}

/** The labels of each labeler for each prompt. */
export function byLabelerAndPrompt(labels: readonly Label[]): Iterable<readonly Label[]> {
  const groups = new Map<string, Label[]>();
  for (const label of labels) {
    const key = JSON.stringify([label.labeler, label.prompt]);
    const known = groups.get(key);
    if (known) known.push(label);
    else groups.set(key, [label]);
  }
  return groups.values();
}

/** The preference that a difference means, which is above 0 where the first is better. */
export const preferenceOf = (better: number): string =>
  better > 0 ? 'first' : better < 0 ? 'second' : 'tie';

function betterBy(first: Label, second: Label): number | undefined {
  if (first.rank !== undefined && second.rank !== undefined) return second.rank - first.rank;
  const [one, other] = [first.overall_quality, second.overall_quality];
  return one === undefined || other === undefined ? undefined : one - other;
}
