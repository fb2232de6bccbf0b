/** One token further for 32 sequences with a cache of 64 tokens: the project's step and the baseline. */
import { architectureOf, type ModelConfig, parameterSpecs } from '@rlhf-streams/model';
import { allocate, type Buffers, type Executable, float32, int32, onnxEngine } from '@rlhf-streams/tensor';
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
  const executable = await onnxEngine({ threads }).compile(
    (t) => {
      const past = layers.map((layer) => ({ keys: t[`keys.${layer}`]!, values: t[`values.${layer}`]! }));
      const { hidden, added } = step(config, t, t.ids!, t.positions!, past);
      const entries = added.flatMap(({ keys, values }, layer) => [
        [`added.keys.${layer}`, keys] as const,
        [`added.values.${layer}`, values] as const,
      ]);
      return { logits: languageHead(config, t, hidden), ...Object.fromEntries(entries) };
    },
    {
      ...parameterSpecs(config),
      ids: int32(SEQUENCES),
      positions: int32(SEQUENCES),
      ...Object.fromEntries(cache),
    },
  );
  return decoding(config, executable, { positions: new Int32Array(SEQUENCES).fill(CACHED) });
}

export async function plainDecode(config: ModelConfig, threads: number): Promise<Decode> {
  const { program, specs } = plainDecodeStep(config, SEQUENCES, CAPACITY);
  const executable = await onnxEngine({ threads }).compile(program, specs);
  const mask = new Float32Array(CAPACITY).fill(-1e9, CACHED);
  return decoding(config, executable, { position: Int32Array.of(CACHED), mask });
}

function decoding(config: ModelConfig, executable: Executable, position: Buffers): Decode {
  const given: Buffers = { ...initialParameters(config), ids: someTokens(SEQUENCES, config), ...position };
  const inputs = Object.fromEntries(
    Object.entries(executable.inputs).map(([name, spec]) => [
      name,
      given[name] ?? filledCache(allocate(spec)),
    ]),
  );
  const outputs = Object.fromEntries(
    Object.entries(executable.outputs).map(([name, spec]) => [name, allocate(spec)]),
  );
  return {
    async run() {
      const { logits } = await executable.run(inputs, outputs);
      return (logits as Float32Array).subarray(0, config.vocabSize);
    },
    close: () => executable.dispose(),
  };
}

const filledCache = <Buffer extends Float32Array | Int32Array>(cache: Buffer): Buffer => {
  for (let i = 0; i < cache.length; i++) cache[i] = Math.sin(i) / 10;
  return cache;
};
