/** How far labelers agree with each other, and with what was learned from others than them. */
import { type Agreement, agreement, fleissKappa } from '../agreement.js';
import { bootstrapMean } from '../bootstrap.js';
import { EvaluationError } from '../errors.js';
import { mean } from '../statistics.js';
import type { Slice } from '../suites/evaluation.js';
import type { MeasureOptions } from '../suites/measure.js';
import type { Label } from './label.js';
import { slicedLabels } from './measure-labels.js';
import { type Opinion, opinionsOf, preferenceOf } from './opinions.js';

/** Agreement of labelers with each other in one measure. */
export interface LabelerAgreement extends Agreement {
  readonly measure: string;
  /** Who was asked. */
  readonly among: LabelerSet;
  /** The labels that were compared, where they are not all. */
  readonly slice?: Slice;
  /** Cohen's of two labelers, Fleiss' of more. */
  readonly statistic: 'Cohen' | 'Fleiss';
  readonly labelers: number;
  /** Ratings of each of the `share.n` items; items with another number of ratings are left out. */
  readonly ratings: number;
}

export type LabelerSet = 'all labelers' | 'training labelers' | 'held-out labelers';

/**
 * Agreement in every measure, over all labels and over those of each value of each column to slice by, where a preference is in a slice
 * that has both of its completions. The share is that of an item's pairs of labelers who say the same, averaged over items: of two labelers
 * with Wilson's interval, of more with the bootstrap's. Where items have different numbers of ratings, those count whose number
 * gives the most ratings: Fleiss' kappa asks for as many of each.
 */
export function labelerAgreements(
  labels: readonly Label[],
  among: LabelerSet,
  { seed, slices = [] }: MeasureOptions,
): LabelerAgreement[] {
  return slicedLabels(labels, slices).flatMap(({ slice, labels }) =>
    [...opinionsOf(labels)].flatMap(([measure, opinions]): LabelerAgreement[] => {
      const rated = equallyRated(opinions);
      if (rated.length === 0) return [];
      const ratings = rated[0]!.length;
      const labelers = new Set(rated.flat().map(({ labeler }) => labeler)).size;
      const items = rated.map((said) => said.map(({ says }) => says));
      const about = { measure, among, ...(slice && { slice }), labelers, ratings };
      if (labelers === 2) {
        const pairs = items.map(([one, other]) => [one!, other!] as const);
        return [{ ...about, statistic: 'Cohen', ...agreementIn(measure, pairs) }];
      }
      const shares = items.map(shareOfPairs);
      const share = { mean: mean(shares), ...bootstrapMean(shares, { seed }), n: items.length };
      return [{ ...about, statistic: 'Fleiss', share, kappa: fleissKappa(inBothOrders(measure, items)) }];
    }),
  );
}

/** Items of as many opinions, two at least, each in the order of labelers. */
function equallyRated(opinions: readonly Opinion[]): (readonly Opinion[])[] {
  const byCount = new Map<number, (readonly Opinion[])[]>();
  for (const said of byItem(opinions).values()) {
    if (said.length < 2) continue;
    const inOrder = said.toSorted((a, b) => (a.labeler < b.labeler ? -1 : 1));
    byCount.set(said.length, [...(byCount.get(said.length) ?? []), inOrder]);
  }
  const size = (items: readonly (readonly Opinion[])[]) => items.length * items[0]!.length;
  return [...byCount.values()].sort((a, b) => size(b) - size(a))[0] ?? [];
}

const agreementIn = (measure: string, pairs: readonly (readonly [string, string])[]): Agreement => ({
  share: agreement(pairs).share,
  kappa: agreement(inBothOrders(measure, pairs)).kappa,
});

/**
 * Preferences count in both orders of their two completions: which stands first means nothing, and where the order happened to go with
 * quality, most answers would be `first`, chance would seem to explain them, and kappa would be too small.
 */
function inBothOrders<Said extends readonly string[]>(measure: string, items: readonly Said[]): Said[] {
  if (measure !== 'preference') return [...items];
  const turned = (says: string) => (says === 'first' ? 'second' : says === 'second' ? 'first' : says);
  return [...items, ...items.map((said) => said.map(turned) as readonly string[] as Said)];
}

function shareOfPairs(said: readonly string[]): number {
  let [same, pairs] = [0, 0];
  for (const [place, one] of said.entries())
    for (const other of said.slice(place + 1)) {
      pairs++;
      if (one === other) same++;
    }
  return same / pairs;
}

/** How often a predictor says what labelers say who had no part in it. */
export interface HeldOutAgreement extends Agreement {
  readonly measure: string;
  /** `majority of training labelers`, `policies by quality`, or the column of a scorer's scores. */
  readonly predictor: string;
  readonly with: LabelerSet;
  /** The labels that were predicted, where they are not all. */
  readonly slice?: Slice;
}

export interface HeldOutOptions {
  readonly isHeldOut: (label: Label) => boolean;
  /** Columns with a scorer's number for each completion, read as such: more is better. */
  readonly scores?: readonly string[];
  /** Columns to slice by. */
  readonly slices?: readonly string[];
}

/**
 * How far what is made of the training labelers, and what scorers say, agrees with the people held out: in every measure the
 * majority of the training labelers; in preferences also the ranking of policies by the training labelers' mean quality, and
 * scorers. For comparison, how each training labeler agrees with the majority of the other ones, and scorers with training labelers.
 * Slices are of the labels that are predicted; what predicts them is made of all training labels.
 *
 * Source: Ouyang et al. 2022, section 4.1: held-out labelers prefer as training labelers do.
 *
 * @throws EvaluationError EVALUATION_EMPTY where all labelers or none are held out
 */
export function heldOutAgreements(
  labels: readonly Label[],
  { isHeldOut, scores = [], slices = [] }: HeldOutOptions,
): HeldOutAgreement[] {
  const training = labels.filter((label) => !isHeldOut(label));
  const heldOut = labels.filter(isHeldOut);
  if (training.length === 0 || heldOut.length === 0)
    throw new EvaluationError(
      'EVALUATION_EMPTY',
      `Expected labelers to be held out and others to remain, got ${heldOut.length} labels of the former and ${training.length} of the latter.`,
    );
  const learned = new Map([...opinionsOf(training)].map(([measure, said]) => [measure, byItem(said)]));
  const ofPairs: [string, PairPredictor][] = [
    ['policies by quality', byPolicy(training)],
    ...scores.map((column): [string, PairPredictor] => [column, byScore(column)]),
  ];
  const sets: [LabelerSet, readonly Label[]][] = [
    ['held-out labelers', heldOut],
    ['training labelers', training],
  ];
  const majorityIn = (measure: string) => (opinion: Opinion) =>
    majorityOf(
      (learned.get(measure)?.get(opinion.item) ?? []).filter(({ labeler }) => labeler !== opinion.labeler),
    );
  const predictorsOf = (measure: string, who: LabelerSet): [string, Predictor][] => [
    ['majority of training labelers', majorityIn(measure)],
    ...(measure === 'preference' ? ofPairs : [])
      // The training labelers' own opinions made the ranking of policies: they cannot confirm it.
      .filter(([name]) => who === 'held-out labelers' || scores.includes(name))
      .map(([name, of]): [string, Predictor] => [name, predictionBy(of)]),
  ];
  return sets.flatMap(([who, people]) =>
    slicedLabels(people, slices).flatMap(({ slice, labels }) =>
      [...opinionsOf(labels)].flatMap(([measure, opinions]) =>
        predictorsOf(measure, who).flatMap(([predictor, predict]): HeldOutAgreement[] => {
          const pairs = opinions.flatMap((opinion) => {
            const predicted = predict(opinion);
            return predicted === undefined ? [] : [[predicted, opinion.says] as const];
          });
          if (pairs.length === 0) return [];
          return [{ measure, predictor, with: who, ...(slice && { slice }), ...agreementIn(measure, pairs) }];
        }),
      ),
    ),
  );
}

/** What it takes a labeler to say; undefined where that cannot be told. */
type Predictor = (opinion: Opinion) => string | undefined;

/** By how much the first completion is better than the second; undefined where that cannot be told. */
type PairPredictor = (first: Label, second: Label) => number | undefined;

const predictionBy =
  (differenceOf: PairPredictor): Predictor =>
  ({ pair }) => {
    const difference = differenceOf(...pair!);
    return difference === undefined ? undefined : preferenceOf(difference);
  };

/** Predicts by the ranking of the policies; two completions of one policy have no prediction. */
function byPolicy(training: readonly Label[]): PairPredictor {
  const qualities = policyQualities(training);
  return (first, second) =>
    first.policy === second.policy
      ? undefined
      : difference(qualities.get(first.policy ?? ''), qualities.get(second.policy ?? ''));
}

const byScore =
  (column: string): PairPredictor =>
  (first, second) =>
    difference(first[column] as number | undefined, second[column] as number | undefined);

const difference = (one: number | undefined, other: number | undefined): number | undefined =>
  one === undefined || other === undefined ? undefined : one - other;

function policyQualities(labels: readonly Label[]): ReadonlyMap<string, number> {
  const qualities = new Map<string, number[]>();
  for (const { policy, overall_quality } of labels)
    if (policy !== undefined && overall_quality !== undefined)
      qualities.set(policy, [...(qualities.get(policy) ?? []), overall_quality]);
  return new Map([...qualities].map(([policy, values]) => [policy, mean(values)]));
}

/** What most say. Of preferences the sum of votes counts, and none is a tie; of other categories no majority is no answer. */
function majorityOf(opinions: readonly Opinion[]): string | undefined {
  if (opinions.length === 0) return undefined;
  if (opinions[0]!.pair) {
    const votes = opinions.map(({ says }) => (says === 'first' ? 1 : says === 'second' ? -1 : 0));
    return preferenceOf(votes.reduce<number>((sum, vote) => sum + vote, 0));
  }
  const counts = new Map<string, number>();
  for (const { says } of opinions) counts.set(says, (counts.get(says) ?? 0) + 1);
  const [first, second] = [...counts].sort(([, a], [, b]) => b - a);
  return first![1] === second?.[1] ? undefined : first![0];
}

function byItem(opinions: readonly Opinion[]): ReadonlyMap<string, readonly Opinion[]> {
  const items = new Map<string, Opinion[]>();
  for (const opinion of opinions) {
    const known = items.get(opinion.item);
    if (known) known.push(opinion);
    else items.set(opinion.item, [opinion]);
  }
  return items;
}
