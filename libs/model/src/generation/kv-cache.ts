/** Keys and values of the sequences that are generated side by side: a row of the cache is a slot of the batch. */
import { type Buffers, float32, type Specs, sizeOf } from '@rlhf-streams/tensor';
import type { LayerCache } from '../architecture.js';
import { architectureOf } from '../architectures/index.js';
import type { ModelConfig } from '../model-config.js';

const KINDS = ['keys', 'values'] as const;
const PAST = 'past.';

/** The cache as inputs of the decode step: `past.keys.i` and `past.values.i` for each layer i. */
export function cacheSpecs(config: ModelConfig, slots: number, capacity: number): Specs {
  const spec = float32(...architectureOf(config).cacheShape(config, slots, capacity));
  const names = Array.from({ length: config.layers }, (_, layer) =>
    KINDS.map((kind) => `${PAST}${kind}.${layer}`),
  );
  return Object.fromEntries(names.flat().map((name) => [name, spec]));
}

/** The cache as the architecture's step takes it, from a program's inputs. */
export const cacheIn = <T>({ layers }: ModelConfig, inputs: Readonly<Record<string, T>>) =>
  Array.from({ length: layers }, (_, layer) => ({
    keys: inputs[`${PAST}keys.${layer}`]!,
    values: inputs[`${PAST}values.${layer}`]!,
  }));

/** What the architecture gives to be cached, as outputs of a program: `keys.i` and `values.i` for each layer i. */
export const cacheOut = (cache: readonly LayerCache[]) =>
  Object.fromEntries(
    cache.flatMap((layer, i) => KINDS.map((kind) => [`${kind}.${i}`, layer[kind]] as const)),
  );

export interface KvCache {
  /** Inputs of the decode step. */
  readonly past: Buffers;
  /**
   * Copies the first `length` positions of one sequence into a slot, from position `at` on.
   * @param from a row of a program's outputs, each [rows, heads, capacity, width]
   */
  store(
    from: { readonly outputs: Buffers; readonly row: number; readonly capacity: number },
    to: { readonly slot: number; readonly at: number },
    length: number,
  ): void;
}

export function createKvCache(config: ModelConfig, slots: number, capacity: number): KvCache {
  const [, heads, , width] = architectureOf(config).cacheShape(config, slots, capacity);
  const past = Object.fromEntries(
    Object.entries(cacheSpecs(config, slots, capacity)).map(([name, { shape }]) => [
      name,
      new Float32Array(sizeOf(shape)),
    ]),
  );
  return {
    past,
    store(from, to, length) {
      for (const [name, cached] of Object.entries(past)) {
        const output = from.outputs[name.slice(PAST.length)] as Float32Array;
        for (let head = 0; head < heads; head++) {
          const source = (from.row * heads + head) * from.capacity * width;
          const target = ((to.slot * heads + head) * capacity + to.at) * width;
          cached.set(output.subarray(source, source + length * width), target);
        }
      }
    },
  };
}
