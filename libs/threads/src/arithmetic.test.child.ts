/** The thread of the tests. */
import { type MessagePort, workerData } from 'node:worker_threads';
import { serve } from './serve.js';

class Overflow extends RangeError {
  override readonly name = 'Overflow';
  readonly code = 'ARITHMETIC_OVERFLOW';
}

const waiting: (() => void)[] = [];

const api = {
  greeting: async () => `hello ${workerData}`,
  sum: async (numbers: readonly number[]) => numbers.reduce((sum, x) => sum + x, 0),
  /** Adds 1 to every number of a vector in shared memory. */
  increment: async (vector: Float32Array) => {
    for (let i = 0; i < vector.length; i++) vector[i]! += 1;
  },
  /** Says each partial sum at the port before it answers with the last. */
  sums: async (numbers: readonly number[], port: MessagePort) =>
    numbers.reduce((sum, x) => {
      port.postMessage(sum + x);
      return sum + x;
    }, 0),
  /** Answers when the port is closed at its other end. */
  untilClosed: (port: MessagePort) =>
    new Promise<string>((resolve) => port.once('close', () => resolve('closed'))),
  overflow: async () => {
    const error = new Overflow('too large', { cause: new Error('2 ** 1024 is Infinity') });
    throw Object.assign(error, { retriable: false, unavailable: true });
  },
  throwText: async () => {
    throw 'a text';
  },
  /** A function cannot be cloned. */
  uncloneable: async (): Promise<unknown> => () => 1,
  /** Answers when `release` is called. */
  wait: () => new Promise<string>((resolve) => waiting.push(() => resolve('released'))),
  release: async () => {
    for (const resolve of waiting.splice(0)) resolve();
  },
  /** Never comes to its next turn. */
  spin: async (): Promise<void> => {
    for (;;);
  },
  exit: (code: number) => new Promise<never>(() => process.exit(code)),
  crash: () =>
    new Promise<never>(() => {
      setImmediate(() => {
        throw new Error('a bug outside of every call');
      });
    }),
};

export type Arithmetic = typeof api;
serve(api);
