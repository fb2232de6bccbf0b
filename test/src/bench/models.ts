/** The models that are measured: GPT-2 in two small sizes, with initial weights. */
import { initialiseWeights, type ModelConfig, newModelConfig, parameterCount } from '@rlhf-streams/model';
import type { Buffers } from '@rlhf-streams/tensor';
import { bigShape, smallShape } from './against/workload.js';

/** 0.87 million parameters. */
export const small = newModelConfig({ architecture: 'gpt2', ...smallShape });
/** 11.5 million parameters. */
export const big = newModelConfig({ architecture: 'gpt2', ...bigShape });

export const nameOf = (config: ModelConfig): string => {
  const millions = parameterCount(config) / 1e6;
  return `${millions.toFixed(millions < 10 ? 2 : 1)} M`;
};

export const initialParameters = (config: ModelConfig): Buffers =>
  Object.fromEntries([...initialiseWeights(config, 0)].map(([name, { data }]) => [name, data]));

/** `count` token ids without a pattern that matters. */
export const someTokens = (count: number, { vocabSize }: ModelConfig): Int32Array =>
  Int32Array.from({ length: count }, (_, i) => (i * 7 + ((i * i) % 5)) % vocabSize);
