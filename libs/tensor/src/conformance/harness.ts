import { afterAll, beforeAll } from 'vitest';
import type { Buffers, Engine, Frozen, Program, Specs, TypedBuffer, Workspace } from '../engine.js';

export interface ConformanceOptions {
  readonly create: () => Engine;
  /** How far, relatively, the numbers of an engine that is `close` may be from those of plain arithmetic. Default 1e-5. */
  readonly tolerance?: number;
}

export interface Harness {
  readonly engine: Engine;
  readonly tolerance: number;
  /** A workspace with programs, disposed after `work`. */
  within<T>(
    setup: { readonly state: Specs; readonly programs?: Programs; readonly frozen?: Frozen },
    work: (space: Workspace) => Promise<T>,
  ): Promise<T>;
}

export type Programs = Readonly<Record<string, Program>>;

/** The engine of a suite, made before its tests and closed after them. */
export function harnessOf({ create, tolerance = 1e-5 }: ConformanceOptions): Harness {
  let engine: Engine;
  beforeAll(() => {
    engine = create();
  });
  afterAll(() => engine?.close());
  return {
    get engine() {
      return engine;
    },
    tolerance,
    async within({ state, programs = {}, frozen }, work) {
      const space = await engine.open(state, frozen && { frozen });
      try {
        await space.add(programs);
        return await work(space);
      } finally {
        await space.dispose();
      }
    },
  };
}

export const floats = (...numbers: number[]): Float32Array => Float32Array.from(numbers);
export const ints = (...numbers: number[]): Int32Array => Int32Array.from(numbers);
export const numbersOf = (buffers: Buffers): Record<string, number[]> =>
  Object.fromEntries(Object.entries(buffers).map(([name, buffer]) => [name, [...buffer]]));
export const read = async (space: Workspace, ...names: string[]): Promise<Record<string, number[]>> =>
  numbersOf(await space.read(names));

/** Numbers from -1 to 1 that differ from `seed` to `seed`. */
export const wave = (length: number, seed: number): Float32Array =>
  Float32Array.from({ length }, (_, i) => Math.sin(i * (seed + 0.7) + seed));

/** The largest distance between two buffers, relative to the largest number of the second. */
export function distance(a: TypedBuffer, b: TypedBuffer): number {
  let [worst, largest] = [a.length === b.length ? 0 : Number.POSITIVE_INFINITY, 1e-30];
  b.forEach((x, i) => {
    const apart = Math.abs(a[i]! - x);
    worst = apart <= worst ? worst : apart;
    largest = Math.max(largest, Math.abs(x));
  });
  return worst / largest;
}
