/** Which rows train, which test, and in which order: pure functions of a seed. */
import { createHash } from 'node:crypto';
import { DataError, requireInteger } from './errors.js';
import { seededRandom } from './seeded-random.js';

const EPOCH_STREAM = 1;
const MOST_ROWS = 2 ** 31 - 1;
const MOST_BATCH = 2 ** 16;

/**
 * Splits rows by a hash of each row's content and index: a row's side depends on no other row, so rows
 * appended later leave the earlier ones where they are. The test part holds about `testFraction` of the rows;
 * with two rows or more and a fraction above 0, neither part is empty. Both parts keep the rows' order.
 *
 * @param options.testFraction in [0, 1)
 * @param options.seed safe integer >= 0
 * @throws DATA_ARGUMENT_INVALID
 */
export function splitTrainTest<Row>(
  rows: readonly Row[],
  options: { testFraction: number; seed: number },
): { train: Row[]; test: Row[] } {
  const { testFraction, seed } = options;
  if (!(testFraction >= 0 && testFraction < 1)) {
    throw new DataError(
      'DATA_ARGUMENT_INVALID',
      `testFraction: expected a number in [0, 1), got ${testFraction}`,
    );
  }
  requireInteger('seed', seed, 0, Number.MAX_SAFE_INTEGER);
  const draws = rows.map((row, index) => uniformHash(row, index, seed));
  const isTest = draws.map((draw) => draw < testFraction);
  if (rows.length >= 2 && testFraction > 0) {
    if (!isTest.includes(true)) isTest[extremeIndex(draws, (a, b) => a < b)] = true;
    if (!isTest.includes(false)) isTest[extremeIndex(draws, (a, b) => a > b)] = false;
  }
  return {
    train: rows.filter((_, index) => !isTest[index]),
    test: rows.filter((_, index) => isTest[index]),
  };
}

/**
 * The order in which epoch `epoch` visits `n` rows: a Fisher-Yates permutation of 0..n-1.
 *
 * @throws DATA_ARGUMENT_INVALID
 */
export function epochOrder(n: number, seed: number, epoch: number): Uint32Array {
  requireInteger('n', n, 0, MOST_ROWS);
  const random = seededRandom(seed, EPOCH_STREAM, epoch);
  const order = Uint32Array.from({ length: n }, (_, index) => index);
  for (let last = n - 1; last > 0; last--) {
    const other = random.below(last + 1);
    const moved = order[last]!;
    order[last] = order[other]!;
    order[other] = moved;
  }
  return order;
}

/**
 * The rows of training step `step` (from 0): always `batchSize` of them, a pure function of its arguments, so
 * that a step can be issued again after a crash. Steps run through one epoch's order after another; every
 * epoch visits each row once, and a batch that reaches the end of an epoch goes on into the next.
 *
 * @throws DATA_ARGUMENT_INVALID
 */
export function batchIndices(n: number, batchSize: number, step: number, seed: number): number[] {
  requireInteger('n', n, 1, MOST_ROWS);
  requireInteger('batchSize', batchSize, 1, MOST_BATCH);
  requireInteger('step', step, 0, Math.floor(Number.MAX_SAFE_INTEGER / MOST_BATCH) - 1);
  const first = step * batchSize;
  const indices: number[] = [];
  while (indices.length < batchSize) {
    const position = first + indices.length;
    const order = knownOrder(n, seed, Math.floor(position / n));
    const start = position % n;
    for (const row of order.subarray(start, start + batchSize - indices.length)) indices.push(row);
  }
  return indices;
}

const ORDERS_KNOWN = 8;
const orders = new Map<string, Uint32Array>();

/** An epoch's order, computed once for its many steps: with a million rows that takes longer than the rest of a step. */
function knownOrder(n: number, seed: number, epoch: number): Uint32Array {
  const key = `${n} ${seed} ${epoch}`;
  const known = orders.get(key);
  if (known) return known;
  const order = epochOrder(n, seed, epoch);
  if (orders.size === ORDERS_KNOWN) orders.delete(orders.keys().next().value!);
  orders.set(key, order);
  return order;
}

function uniformHash(row: unknown, index: number, seed: number): number {
  const digest = createHash('sha256')
    .update(`${seed}\n${index}\n${canonicalJson(row)}`)
    .digest();
  return digest.readUIntBE(0, 6) / 2 ** 48;
}

function extremeIndex(values: readonly number[], beats: (a: number, b: number) => boolean): number {
  return values.reduce((best, value, index) => (beats(value, values[best]!) ? index : best), 0);
}

/** JSON with sorted keys: the same row hashes alike from a JSONL and from a parquet file. */
function canonicalJson(row: unknown): string {
  return JSON.stringify(row, (_, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
}
