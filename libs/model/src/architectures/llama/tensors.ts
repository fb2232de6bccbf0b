/** The tensors of the Llama family, and the two spellings of their names. */
import type { LearnedTensor, LinearMap } from '../../architecture.js';
import type { LlamaConfig } from './config.js';

/** Standard deviation of the initial weights. */
const DEVIATION = 0.02;

interface Linear extends LinearMap {
  readonly bias: boolean;
  /** Whether it adds to the residual stream. */
  readonly residual: boolean;
}

/** The linear maps of a layer, by their names in it. Their weights are [out, in]. */
function linearsOfLayer({ width, heads, kvHeads, headWidth, mlpWidth, biases }: LlamaConfig) {
  const map = (from: number, to: number, bias: boolean, residual = false): Linear => ({
    ...{ from, to, fanInFanOut: false },
    ...{ bias, residual },
  });
  return {
    'self_attn.q_proj': map(width, heads * headWidth, biases.qkv),
    'self_attn.k_proj': map(width, kvHeads * headWidth, biases.qkv),
    'self_attn.v_proj': map(width, kvHeads * headWidth, biases.qkv),
    'self_attn.o_proj': map(heads * headWidth, width, biases.output, true),
    'mlp.gate_proj': map(width, mlpWidth, biases.mlp),
    'mlp.up_proj': map(width, mlpWidth, biases.mlp),
    'mlp.down_proj': map(mlpWidth, width, biases.mlp, true),
  };
}

/**
 * Every tensor, by its name in the published checkpoints without their prefix.
 *
 * Initial weights are normal with deviation 0.02, divided by sqrt(2 layers) where a layer adds to the residual stream, as
 * in GPT-2; norms start as the identity, biases at 0, and so does a scalar head, so that an untrained one says nothing.
 * Weight decay leaves out biases and norms, as transformers' Trainer does.
 */
export function tensors(config: LlamaConfig): Map<string, LearnedTensor> {
  const { vocabSize: V, width: D, headWidth: K, layers, head } = config;
  const all = new Map<string, LearnedTensor>();
  const add = (name: string, shape: number[], initial: LearnedTensor['initial'], more = {}) =>
    all.set(`${name}.weight`, { shape, initial, decay: true, ofHead: false, ...more });
  const zeros = { constant: 0 };
  const normal = { deviation: DEVIATION };
  const residual = { deviation: DEVIATION / Math.sqrt(2 * layers) };
  const norm = (name: string, width = D) => add(name, [width], { constant: 1 }, { decay: false });

  add('embed_tokens', [V, D], normal);
  for (let layer = 0; layer < layers; layer++) {
    const name = `layers.${layer}`;
    norm(`${name}.input_layernorm`);
    for (const [module, linear] of Object.entries(linearsOfLayer(config))) {
      add(`${name}.${module}`, [linear.to, linear.from], linear.residual ? residual : normal);
      if (linear.bias)
        all.set(`${name}.${module}.bias`, {
          ...{ shape: [linear.to], initial: zeros },
          ...{ decay: false, ofHead: false },
        });
    }
    if (config.queryKeyNorms) {
      norm(`${name}.self_attn.q_norm`, K);
      norm(`${name}.self_attn.k_norm`, K);
    }
    norm(`${name}.post_attention_layernorm`);
  }
  norm('norm');
  if (head.kind === 'scalar') add('score', [head.labels, D], zeros, { ofHead: true });
  else if (!config.tieWordEmbeddings) add('lm_head', [V, D], normal, { ofHead: true });
  return all;
}

export const linears = (config: LlamaConfig): Map<string, LinearMap> =>
  new Map(
    Array.from({ length: config.layers }, (_, layer) =>
      Object.entries(linearsOfLayer(config)).map(
        ([name, { from, to, fanInFanOut }]) =>
          [`layers.${layer}.${name}`, { from, to, fanInFanOut }] as const,
      ),
    ).flat(),
  );

const PREFIX = 'model.';
const HEADS = new Set(['score.weight', 'lm_head.weight']);
/** The frequencies of RoPE, which old checkpoints carry along. */
const FREQUENCIES = /rotary_emb\.inv_freq$/;

/** `model.norm.weight`, in which transformers saves a model with a head, and `norm.weight` are one tensor. */
export function nameOf(stored: string): string | undefined {
  const name = stored.startsWith(PREFIX) ? stored.slice(PREFIX.length) : stored;
  return FREQUENCIES.test(name) ? undefined : name;
}

export const storedName = (name: string): string => (HEADS.has(name) ? name : PREFIX + name);

/** A tied output matrix may be stored beside the token embedding that it is. */
export const copies = ({ head, tieWordEmbeddings }: LlamaConfig): Map<string, string> =>
  new Map(head.kind === 'language' && tieWordEmbeddings ? [['lm_head.weight', 'embed_tokens.weight']] : []);
