/** One token further for 32 sequences with a cache of 64 tokens: the project's step and the baseline. */
import { architectureOf, type ModelConfig, parameterSpecs } from '@rlhf-streams/model';
import {
  allocate,
  type Buffers,
  float32,
  int32,
  onnxEngine,
  type Specs,
  type Tensors,
} from '@rlhf-streams/tensor';
import { initialParameters, someTokens } from '../models.js';
import { plainDecodeStep } from './plain-gpt2.js';

export const SEQUENCES = 32;
export const CAPACITY = 64;
/** Tokens already in each sequence's cache. */
const CACHED = 32;

export interface Decode {
  /** Takes one step and resolves with the first sequence's logits. */
  run(): Promise<Float32Array>;
  close(): Promise<void>;
}

export async function modelDecode(config: ModelConfig, threads: number): Promise<Decode> {
  const { step, cacheShape, languageHead } = architectureOf(config);
  const layers = Array.from({ length: config.layers }, (_, layer) => layer);
  const cached = float32(...cacheShape(config, SEQUENCES, CAPACITY));
  const cache = layers.flatMap((layer) => [`keys.${layer}`, `values.${layer}`].map((name) => [name, cached]));
  const specs = {
    ...parameterSpecs(config),
    ids: int32(SEQUENCES),
    positions: int32(SEQUENCES),
    ...Object.fromEntries(cache),
  };
  const program = (t: Tensors): Tensors => {
    const past = layers.map((layer) => ({ keys: t[`keys.${layer}`]!, values: t[`values.${layer}`]! }));
    const { hidden, added } = step(config, t, t.ids!, t.positions!, past);
    const entries = added.flatMap(({ keys, values }, layer) => [
      [`added.keys.${layer}`, keys] as const,
      [`added.values.${layer}`, values] as const,
    ]);
    return { logits: languageHead(config, t, hidden), ...Object.fromEntries(entries) };
  };
  return decoding(config, threads, program, specs, { positions: new Int32Array(SEQUENCES).fill(CACHED) });
}

export async function plainDecode(config: ModelConfig, threads: number): Promise<Decode> {
  const { program, specs } = plainDecodeStep(config, SEQUENCES, CAPACITY);
  const mask = new Float32Array(CAPACITY).fill(-1e9, CACHED);
  return decoding(config, threads, program, specs, { position: Int32Array.of(CACHED), mask });
}

/** Everything that the program takes is state: nothing is fed. */
async function decoding(
  config: ModelConfig,
  threads: number,
  program: (state: Tensors) => Tensors,
  specs: Specs,
  position: Buffers,
): Promise<Decode> {
  const given: Buffers = { ...initialParameters(config), ids: someTokens(SEQUENCES, config), ...position };
  const workspace = await onnxEngine({ threads }).open(specs);
  await workspace.add({
    decode: { inputs: {}, reads: Object.keys(specs), run: (state) => ({ outputs: program(state) }) },
  });
  await workspace.load(
    Object.fromEntries(
      Object.entries(specs).map(([name, spec]) => [name, given[name] ?? filledCache(allocate(spec))]),
    ),
  );
  return {
    async run() {
      const { logits } = await workspace.run('decode', {});
      return (logits as Float32Array).subarray(0, config.vocabSize);
    },
    close: () => workspace.dispose(),
  };
}

const filledCache = <Buffer extends Float32Array | Int32Array>(cache: Buffer): Buffer => {
  for (let i = 0; i < cache.length; i++) cache[i] = Math.sin(i) / 10;
  return cache;
};
