/** Times on a machine that others use as well: many short repetitions in turn, and their medians. */
import { setTimeout as sleep } from 'node:timers/promises';

export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** The smallest value that a share `q` of the values does not exceed. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN;
}

/** Milliseconds that `work` takes. */
export async function timed(work: () => unknown): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

export interface Schedule {
  readonly rounds: number;
  /** Calls in a row that make one time, for work too short to be timed alone. Default 1. */
  readonly calls?: number;
}

/** ONNX Runtime's threads go on spinning for some milliseconds after a run, on cores that the next call needs. */
const SPINNING_MS = 60;

/**
 * Milliseconds a call of each variant takes, round by round. In every round each variant has its turn, in an order
 * that reverses from round to round, so that what else the machine does falls on all of them alike; the first call of
 * a turn, which finds the caches full of another's data, is not timed.
 */
export async function inTurn<Name extends string>(
  variants: Readonly<Record<Name, () => unknown>>,
  { rounds, calls = 1 }: Schedule,
): Promise<Record<Name, number[]>> {
  const names = Object.keys(variants) as Name[];
  const times = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (let round = 0; round < rounds; round++) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      await sleep(SPINNING_MS);
      await variants[name]();
      const total = await timed(async () => {
        for (let call = 0; call < calls; call++) await variants[name]();
      });
      times[name].push(total / calls);
    }
  }
  return times;
}

/** How many times as long as `base` the other took: the median over rounds, in each of which both met the same load. */
export const ratio = (base: readonly number[], other: readonly number[]): number =>
  median(other.map((time, round) => time / base[round]!));
