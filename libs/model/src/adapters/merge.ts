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
  adapted: ModelConfig,
  base: ReadonlyMap<string, WeightTensor>,
  adapter: ReadonlyMap<string, WeightTensor>,
): { config: ModelConfig; tensors: Map<string, WeightTensor> } {
  const { adapter: _, ...config } = adapted;
  const names = [...architectureOf(config).tensors(config).keys()];
  const tensors = names.map((name) => {
    const change = changeOf(adapted, adapter, name);
    return [name, change ? change(base.get(name)) : base.get(name)!] as const;
  });
  return { config, tensors: new Map(tensors) };
}

/**
 * What becomes of one tensor of the base when an adapter is added to it; undefined where it stays as it is. A module that was
 * learned in full takes the place of the base's, which need not have it.
 */
export function changeOf(
  config: ModelConfig,
  adapter: ReadonlyMap<string, WeightTensor>,
  name: string,
): ((base: WeightTensor | undefined) => WeightTensor) | undefined {
  const own = adapter.get(name);
  const on = config.adapter;
  const map = on?.targetModules.find((target) => `${target}.weight` === name);
  if (!on || map === undefined) return own && (() => own);
  const { a, b } = adapterNames(map);
  const { fanInFanOut } = architectureOf(config).linears(config).get(map)!;
  return (base) => added(own ?? base!, adapter.get(a)!, adapter.get(b)!, adapterScale(on), fanInFanOut);
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
