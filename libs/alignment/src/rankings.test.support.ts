/** Rankings as matrices over the responses of all comparisons, one after another. */
import type { Matrix } from './golden.test.support.js';

/** Ranks of the responses of each comparison, 1 the best; equal ranks are ties. */
export type Ranks = readonly (readonly number[])[];

/** Ranks from the indices of responses, best first. */
export const ranksOf = (orders: Matrix): Ranks =>
  orders.map((order) => order.map((_, response) => 1 + order.indexOf(response)));

export function rankedRows(ranks: Ranks) {
  const rows = ranks.flatMap((own, comparison) => own.map((rank) => ({ rank, comparison })));
  const isBest = ({ rank, comparison }: (typeof rows)[number]) => rank === Math.min(...ranks[comparison]!);
  const matrix = (of: (a: (typeof rows)[number], b: (typeof rows)[number]) => boolean): Matrix =>
    rows.map((a) => rows.map((b) => Number(a.comparison === b.comparison && of(a, b))));
  /** Weights that add up to 1 for each comparison. */
  const weighted = (pairs: Matrix): Matrix =>
    pairs.map((row, i) => {
      const own = pairs.filter((_, j) => rows[j]!.comparison === rows[i]!.comparison);
      const count = own.flat().reduce((sum, x) => sum + x, 0);
      return row.map((x) => (x === 0 ? 0 : x / count));
    });
  const best = rows.map(isBest);
  const ties = rows.map(
    ({ comparison }) => rows.filter((row, j) => best[j] && row.comparison === comparison).length,
  );
  return {
    /** Weight of "row i is preferred to row j" among all pairs. */
    prefers: weighted(matrix((a, b) => a.rank < b.rank)),
    /** The same among the pairs of the best. */
    bestPrefers: weighted(matrix((a, b) => isBest(a) && a.rank < b.rank)),
    /** 1 for another response of the same comparison. */
    rivals: matrix((a, b) => a !== b),
    /** The share of each response in being the best of its comparison. */
    best: best.map((is, i) => (is ? 1 / ties[i]! : 0)),
  };
}
