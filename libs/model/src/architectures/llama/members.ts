/** The members of the Llama family: what tells them apart in `config.json`, with the defaults of transformers. */
import { z } from 'zod';
import type { ModelClasses } from '../config-json.js';
import type { Member } from './config.js';

const classes = (stem: string): ModelClasses => ({
  trunk: `${stem}Model`,
  language: `${stem}ForCausalLM`,
  scalar: `${stem}ForSequenceClassification`,
});

/** transformers windows some layers of a Qwen where this is on. */
const withoutWindows = z.looseObject({
  use_sliding_window: z.literal(false).nullish(),
  layer_types: z.array(z.literal('full_attention')).nullish(),
});

/** Touvron et al. 2023; Grattafiori et al. 2024, "The Llama 3 Herd of Models". */
export const llama: Member = {
  name: 'llama',
  classes: classes('Llama'),
  defaults: { vocabSize: 32_000, contextLength: 2048, mlpWidth: 11_008, bosTokenId: 1, eosTokenId: 2 },
  own: ['attention_bias', 'mlp_bias'],
  parts: ({ attention_bias: attention, mlp_bias: mlp }) => ({
    biases: { qkv: attention, output: attention, mlp },
    queryKeyNorms: false,
  }),
};

/** Jiang et al. 2023, "Mistral 7B". */
export const mistral: Member = {
  name: 'mistral',
  classes: classes('Mistral'),
  defaults: {
    ...{ vocabSize: 32_000, contextLength: 131_072, mlpWidth: 14_336, kvHeads: 8 },
    ...{ bosTokenId: 1, eosTokenId: 2 },
  },
  own: ['sliding_window'],
  parts: ({ sliding_window: slidingWindow }) => ({
    biases: { qkv: false, output: false, mlp: false },
    queryKeyNorms: false,
    ...(slidingWindow !== null && { slidingWindow }),
  }),
};

/** Yang et al. 2024, "Qwen2 Technical Report". */
export const qwen2: Member = {
  name: 'qwen2',
  classes: classes('Qwen2'),
  defaults: { vocabSize: 151_936, contextLength: 32_768, mlpWidth: 22_016, kvHeads: 32 },
  own: [],
  computation: withoutWindows,
  parts: () => ({ biases: { qkv: true, output: false, mlp: false }, queryKeyNorms: false }),
};

/** Yang et al. 2025, "Qwen3 Technical Report". */
export const qwen3: Member = {
  name: 'qwen3',
  classes: classes('Qwen3'),
  defaults: { vocabSize: 151_936, contextLength: 32_768, mlpWidth: 22_016, kvHeads: 32, headWidth: 128 },
  own: ['attention_bias'],
  computation: withoutWindows,
  parts: ({ attention_bias: attention }) => ({
    biases: { qkv: attention, output: attention, mlp: false },
    queryKeyNorms: true,
  }),
};
