/** Reads the golden fixtures and compares nested arrays with them. */
import { readFileSync } from 'node:fs';
import type * as tf from '@tensorflow/tfjs';
import { expect } from 'vitest';

export type Nested = number | readonly Nested[];
export type Matrix = number[][];

/** The cases of fixtures/<file>; each test states the shape it relies on. */
export function golden<Case extends { name: string }>(file: string): Case[] {
  return read<{ cases: Case[] }>(file).cases;
}

/** fixtures/<file> as it is. */
export function read<Content>(file: string): Content {
  return JSON.parse(readFileSync(new URL(`../fixtures/${file}`, import.meta.url), 'utf8')) as Content;
}

/** Every number of `actual` within tolerance * max(1, |expected|) of its counterpart. */
export function expectClose(
  actual: tf.Tensor | Nested,
  expected: Nested,
  tolerance: number,
  what = '',
): void {
  const a = flatten(isTensor(actual) ? (actual.arraySync() as Nested) : actual);
  const e = flatten(expected);
  expect(a.length, `${what}: number of elements`).toBe(e.length);
  const worst = e
    .map((x, i) => ({ i, actual: a[i]!, expected: x, error: Math.abs(a[i]! - x) / Math.max(1, Math.abs(x)) }))
    .filter(({ error }) => !(error <= tolerance));
  expect(worst, `${what}: outside ${tolerance}`).toEqual([]);
}

/** The rows of a padded matrix without their padding. */
export function ragged(matrix: Matrix, mask: Matrix): number[][] {
  return matrix.map((row, b) => row.filter((_, t) => mask[b]![t] === 1));
}

/** The sum of all ones in a mask. */
export function count(mask: Nested): number {
  return flatten(mask).reduce((sum, x) => sum + x, 0);
}

/** All numbers, row-major. */
export function flatten(x: Nested): number[] {
  return typeof x === 'number' ? [x] : Array.from(x).flatMap(flatten);
}

function isTensor(x: tf.Tensor | Nested): x is tf.Tensor {
  return typeof x === 'object' && 'arraySync' in x;
}
