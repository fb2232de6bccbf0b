/** A model whose adapter is added to its base. */
import { architectureOf } from '../architectures/index.js';
import { adapterNames } from '../architectures/linear.js';
import { adapterScale, type ModelConfig } from '../model-config.js';
import type { WeightTensor } from '../weights.js';

/**
 * The weights of the model without an adapter that computes the same: W + scale B A in place of W, and modules that were
 * learned in full in place of the base's.
 * @param config of the model with the adapter
 * @param base the base's tensors, of which only those are read that the model has
 * @param adapter the adapter's tensors, as `readAdapter` gives them
 */
export function mergeAdapter(
  { adapter: on, ...config }: ModelConfig,
  base: ReadonlyMap<string, WeightTensor>,
  adapter: ReadonlyMap<string, WeightTensor>,
): { config: ModelConfig; tensors: Map<string, WeightTensor> } {
  const { tensors, linears } = architectureOf(config);
  const merged = new Map(
    [...tensors(config).keys()].map((name) => [name, adapter.get(name) ?? base.get(name)!] as const),
  );
  if (!on) return { config, tensors: merged };
  for (const name of on.targetModules) {
    const { a, b } = adapterNames(name);
    const { fanInFanOut } = linears(config).get(name)!;
    const weight = `${name}.weight`;
    merged.set(
      weight,
      added(merged.get(weight)!, adapter.get(a)!, adapter.get(b)!, adapterScale(on), fanInFanOut),
    );
  }
  return { config, tensors: merged };
}

/** W + scale B A, or its transpose, summed in double precision and rounded once. */
function added(
  { shape, data }: WeightTensor,
  { shape: [rank, from], data: A }: WeightTensor,
  { shape: [to], data: B }: WeightTensor,
  scale: number,
  fanInFanOut: boolean,
): WeightTensor {
  const sum = new Float32Array(data.length);
  const row = new Float64Array(from!);
  for (let o = 0; o < to!; o++) {
    row.fill(0);
    for (let k = 0; k < rank!; k++) {
      const factor = scale * B[o * rank! + k]!;
      for (let i = 0; i < from!; i++) row[i]! += factor * A[k * from! + i]!;
    }
    for (let i = 0; i < from!; i++) {
      const place = fanInFanOut ? i * to! + o : o * from! + i;
      sum[place] = data[place]! + row[i]!;
    }
  }
  return { shape, data: sum };
}
