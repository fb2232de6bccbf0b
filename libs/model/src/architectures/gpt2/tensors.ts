/** GPT-2's tensors, and the two spellings of their names. */
import type { LearnedTensor, LinearMap } from '../../architecture.js';
import type { Gpt2Config } from './config.js';

/** Standard deviation of the initial weights. */
const DEVIATION = 0.02;

/**
 * Every tensor, by its name in the published checkpoints. Weights of linear maps are [in, out]; D is the width, V the
 * vocabulary, T the context, M the width of the feed-forward part.
 *
 * Initial weights are normal with deviation 0.02, divided by sqrt(2 layers) where a layer adds to the residual stream;
 * layer norms start as the identity, biases at 0, and so does a scalar head, so that an untrained one says nothing.
 * Weight decay leaves out biases and layer norms, as transformers' Trainer does.
 */
export function tensors(config: Gpt2Config): Map<string, LearnedTensor> {
  const { vocabSize: V, contextLength: T, width: D, mlpWidth: M, layers, head } = config;
  const all = new Map<string, LearnedTensor>();
  const add = (name: string, shape: number[], initial: LearnedTensor['initial'], more = {}) =>
    all.set(name, { shape, initial, decay: true, ofHead: false, ...more });
  const zeros = { constant: 0 };
  const normal = { deviation: DEVIATION };
  const residual = { deviation: DEVIATION / Math.sqrt(2 * layers) };
  const norm = (name: string) => {
    add(`${name}.weight`, [D], { constant: 1 }, { decay: false });
    add(`${name}.bias`, [D], zeros, { decay: false });
  };
  const linear = (name: string, from: number, to: number, initial: LearnedTensor['initial'] = normal) => {
    add(`${name}.weight`, [from, to], initial);
    add(`${name}.bias`, [to], zeros, { decay: false });
  };

  add('wte.weight', [V, D], normal);
  add('wpe.weight', [T, D], normal);
  for (let layer = 0; layer < layers; layer++) {
    const name = `h.${layer}`;
    norm(`${name}.ln_1`);
    linear(`${name}.attn.c_attn`, D, 3 * D);
    linear(`${name}.attn.c_proj`, D, D, residual);
    norm(`${name}.ln_2`);
    linear(`${name}.mlp.c_fc`, D, M);
    linear(`${name}.mlp.c_proj`, M, D, residual);
  }
  norm('ln_f');
  if (head.kind === 'scalar') add('score.weight', [head.labels, D], zeros, { ofHead: true });
  else if (!config.tieWordEmbeddings) add('lm_head.weight', [V, D], normal, { ofHead: true });
  return all;
}

export function linears({ width: D, mlpWidth: M, layers }: Gpt2Config): Map<string, LinearMap> {
  const map = (from: number, to: number): LinearMap => ({ from, to, fanInFanOut: true });
  const ofLayer = [
    ['attn.c_attn', map(D, 3 * D)],
    ['attn.c_proj', map(D, D)],
    ['mlp.c_fc', map(D, M)],
    ['mlp.c_proj', map(M, D)],
  ] as const;
  return new Map(
    Array.from({ length: layers }, (_, layer) =>
      ofLayer.map(([name, shape]) => [`h.${layer}.${name}`, shape] as const),
    ).flat(),
  );
}

const PREFIX = 'transformer.';
const HEADS = new Set(['score.weight', 'lm_head.weight']);
/** The causal mask, which old checkpoints carry along. */
const MASK = /^h\.\d+\.attn\.(bias|masked_bias)$/;

/** `transformer.h.0.ln_1.bias`, in which transformers saves a model with a head, and `h.0.ln_1.bias` are one tensor. */
export function nameOf(stored: string): string | undefined {
  const name = stored.startsWith(PREFIX) ? stored.slice(PREFIX.length) : stored;
  return MASK.test(name) ? undefined : name;
}

export const storedName = (name: string): string => (HEADS.has(name) ? name : PREFIX + name);

/** A tied output matrix may be stored beside the token embedding that it is. */
export const copies = ({ head, tieWordEmbeddings }: Gpt2Config): Map<string, string> =>
  new Map(head.kind === 'language' && tieWordEmbeddings ? [['lm_head.weight', 'wte.weight']] : []);
