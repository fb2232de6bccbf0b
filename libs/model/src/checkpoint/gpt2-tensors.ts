/** Names and shapes of GPT-2's tensors, and the two spellings they are published in. */
import type { ModelConfig } from './hf-config.js';

/**
 * Every tensor of a model with its shape, in a fixed order: name -> shape. Names are those of the published GPT-2
 * checkpoints; weights of linear maps are [in, out]. D = width, V = vocabulary, T = context, M = mlpWidth:
 * `wte` [V,D], `wpe` [T,D], per layer `ln_1` [D], `attn.c_attn` [D,3D], `attn.c_proj` [D,D], `ln_2` [D],
 * `mlp.c_fc` [D,M], `mlp.c_proj` [M,D]; `ln_f` [D]; then `score.weight` [numLabels,D] of a reward model, or
 * `lm_head.weight` [V,D] where it is not the token embedding.
 */
export function gpt2TensorShapes(config: ModelConfig): Map<string, number[]> {
  const { vocabSize: V, contextLength: T, width: D, mlpWidth: M, numLabels } = config;
  const shapes = new Map<string, number[]>([
    ['wte.weight', [V, D]],
    ['wpe.weight', [T, D]],
  ]);
  for (let layer = 0; layer < config.layers; layer++) {
    const name = `h.${layer}`;
    affine(`${name}.ln_1`, [D]);
    affine(`${name}.attn.c_attn`, [D, 3 * D]);
    affine(`${name}.attn.c_proj`, [D, D]);
    affine(`${name}.ln_2`, [D]);
    affine(`${name}.mlp.c_fc`, [D, M]);
    affine(`${name}.mlp.c_proj`, [M, D]);
  }
  affine('ln_f', [D]);
  if (numLabels !== undefined) shapes.set('score.weight', [numLabels, D]);
  else if (!config.tieWordEmbeddings) shapes.set('lm_head.weight', [V, D]);
  return shapes;

  function affine(name: string, weight: number[]): void {
    shapes.set(`${name}.weight`, weight);
    shapes.set(`${name}.bias`, weight.slice(-1));
  }
}

const PREFIX = 'transformer.';
const HEADS = new Set(['score.weight', 'lm_head.weight']);
/** The causal mask, which old checkpoints carry along. */
const MASK_BUFFER = /^h\.\d+\.attn\.(bias|masked_bias)$/;

/** `transformer.h.0.ln_1.bias` and `h.0.ln_1.bias` are the same tensor: the second spelling. */
export function canonicalName(name: string): string {
  return name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name;
}

/** The spelling in which transformers saves a model with a head. */
export function transformersName(name: string): string {
  return HEADS.has(name) ? name : PREFIX + name;
}

/** Whether a tensor of this canonical name holds nothing that was learned. */
export function isMaskBuffer(name: string): boolean {
  return MASK_BUFFER.test(name);
}
