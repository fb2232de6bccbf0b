/**
 * Weights are compared as bytes before they are compared number by number, which of a million takes eight seconds. Where
 * bytes differ, Vitest's own comparison decides, and shows the difference.
 */
import { expect } from 'vitest';

/** Vitest calls this file for each file of tests, of which those of one worker share what is added. */
const added = globalThis as { sameBytes?: true };
if (!added.sameBytes) {
  added.sameBytes = true;
  expect.addEqualityTesters([
    (a, b) => (isNumbers(a) && isNumbers(b) && a.constructor === b.constructor && isSame(a, b)) || undefined,
  ]);
}

type Numbers = Exclude<ArrayBufferView, DataView>;

const isNumbers = (value: unknown): value is Numbers =>
  ArrayBuffer.isView(value) && !(value instanceof DataView);
const isSame = (a: Numbers, b: Numbers): boolean => bytesOf(a).equals(bytesOf(b));
const bytesOf = ({ buffer, byteOffset, byteLength }: Numbers) => Buffer.from(buffer, byteOffset, byteLength);
