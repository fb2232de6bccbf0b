import { z } from 'zod';
import { named } from './settings.js';

/** The shape of a model to be made. */
export const NewModel = z
  .strictObject({
    architecture: z
      .enum(['gpt2', 'llama'])
      .default('gpt2')
      .describe('GPT-2 (Radford et al. 2019), or Llama (Touvron et al. 2023)')
      .register(named, { as: ['model_type'] }),
    layers: z
      .int()
      .min(1)
      .default(4)
      .describe('transformer blocks')
      .register(named, { as: ['n_layer', 'num_hidden_layers'] }),
    width: z
      .int()
      .min(8)
      .default(128)
      .describe('size of the hidden states, a multiple of heads')
      .register(named, { as: ['n_embd', 'hidden_size'] }),
    heads: z
      .int()
      .min(1)
      .default(4)
      .describe('attention heads of a block')
      .register(named, { as: ['n_head', 'num_attention_heads'] }),
    kvHeads: z
      .int()
      .min(1)
      .optional()
      .describe(
        'heads of a llama that have keys and values, which other heads share (Ainslie et al. 2023); they divide heads, and are as many if not given',
      )
      .register(named, { as: ['num_key_value_heads'] }),
    mlpWidth: z
      .int()
      .min(1)
      .optional()
      .describe(
        "size of the hidden layer of a block's feed-forward part; if not given, four times the width, of a llama 8/3 of it, up to a multiple of 32",
      )
      .register(named, { as: ['n_inner', 'intermediate_size', 'ffn_dim'] }),
    contextLength: z
      .int()
      .min(8)
      .default(64)
      .describe('the most tokens it takes')
      .register(named, { as: ['n_positions', 'n_ctx', 'max_position_embeddings', 'block_size'] }),
    vocabSize: z.int().min(300).default(512).describe('tokens of the byte-level BPE trained on the data'),
  })
  .meta({ title: 'a new model' });
export type NewModel = z.output<typeof NewModel>;
