/** The tensors of a checkpoint as its model names them, and whether they are that model's. */
import { join } from 'node:path';
import { z } from 'zod';
import { architectureOf } from '../architectures/index.js';
import { ModelError } from '../errors.js';
import type { ModelConfig } from '../model-config.js';
import { decodedChunks, type StoredTensor, WEIGHT_BYTES } from './decode.js';
import { missingFile } from './missing.js';
import { storedTensors, WEIGHTS_FILE } from './stored.js';

export interface StoredWeights {
  /** By the names, and in the order, of the architecture's `tensors`. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** Tensors that are stored although each is another one over again, by their names, with those of the originals. */
  readonly copies: readonly (readonly [copy: string, StoredTensor, original: string])[];
}

/**
 * Where the weights of a model lie, after a check of their names, shapes and dtypes. Nothing of them is read.
 * @throws MODEL_CHECKPOINT_*, MODEL_SAFETENSORS_*
 */
export async function storedWeights(dir: string, config: ModelConfig): Promise<StoredWeights> {
  const files = await storedTensors(dir);
  if (!files) throw await missingFile(dir, WEIGHTS_FILE);
  const { nameOf, tensors, copies } = architectureOf(config);
  const named = [...files].flatMap(([storedName, tensor]): [string, StoredTensor][] => {
    const name = nameOf(storedName);
    return name === undefined ? [] : [[name, tensor]];
  });
  const found = new Map(named);
  const copied = [...copies(config)].flatMap(([copy, original]) => {
    const tensor = found.get(copy);
    return tensor ? [[copy, tensor, original] as const] : [];
  });
  for (const [name, { dtype, file }] of named)
    if (QUANTISED.test(dtype)) throw quantised(file, `${name} has dtype ${dtype}`);
  const shapes = shapesOf(config);
  const source = named[0]?.[1].file ?? join(dir, WEIGHTS_FILE);
  const withCopies = new Map([
    ...shapes,
    ...copied.map(([copy, , original]) => [copy, shapes.get(original)!] as const),
  ]);
  checkTensors(withCopies, named, source);
  for (const [name, { dtype, file }] of found)
    if (!WEIGHT_BYTES.has(dtype)) throw wrongType(name, dtype, file);
  return {
    tensors: new Map([...tensors(config).keys()].map((name) => [name, found.get(name)!])),
    copies: copied,
  };
}

/** Types of weights that mean something with their scales alone. */
const QUANTISED = /^(F8_|F6_|F4|I8|U8)/;

const quantised = (source: string, how: string): ModelError =>
  new ModelError(
    'MODEL_CHECKPOINT_FORMAT',
    `${source}: the weights are quantised (${how}), expected ${[...WEIGHT_BYTES.keys()].join(', ')}: use the model that they were made from.`,
  );

const quantisation = z.looseObject({
  quantization_config: z.looseObject({ quant_method: z.string().nullish() }),
});

/** @throws MODEL_CHECKPOINT_FORMAT for the `config.json` of a quantised model */
export function refuseQuantised(configJson: unknown, source: string): void {
  const parsed = quantisation.safeParse(configJson);
  if (!parsed.success) return;
  const { quant_method: method } = parsed.data.quantization_config;
  throw quantised(source, `quantization_config${method ? `: ${method}` : ''}`);
}

/** @throws MODEL_CHECKPOINT_TENSORS where what should be a copy of a tensor is another one. */
export async function checkCopies({ tensors, copies }: StoredWeights): Promise<void> {
  for (const [copy, copied, original] of copies) {
    if (await haveEqualNumbers(copied, tensors.get(original)!)) continue;
    throw new ModelError(
      'MODEL_CHECKPOINT_TENSORS',
      `${copied.file}: ${copy} differs from ${original}, although config.json says tie_word_embeddings; set it to false, or remove ${copy}.`,
    );
  }
}

/** Whether two tensors of the same shape hold the same numbers; both are read in chunks. */
async function haveEqualNumbers(a: StoredTensor, b: StoredTensor): Promise<boolean> {
  const others = decodedChunks(b);
  try {
    for await (const numbers of decodedChunks(a)) {
      const { value } = await others.next();
      if (!value || numbers.some((number, i) => number !== value[i])) return false;
    }
    return true;
  } finally {
    await others.return(undefined);
  }
}

type Shapes = ReadonlyMap<string, readonly number[]>;

export const shapesOf = (config: ModelConfig): Shapes =>
  new Map([...architectureOf(config).tensors(config)].map(([name, { shape }]) => [name, shape]));

export function checkTensors(
  expected: Shapes,
  found: readonly (readonly [string, { readonly shape: readonly number[] }])[],
  source: string,
): void {
  const problems: string[] = [];
  const seen = new Set<string>();
  for (const [name, { shape }] of found) {
    const wanted = expected.get(name);
    if (seen.has(name)) problems.push(`${name} twice, with and without its prefix`);
    else if (wanted === undefined) problems.push(`unexpected ${name} [${shape}]`);
    else if (!sameShape(wanted, shape)) {
      problems.push(`${name} has shape [${shape}], expected [${wanted}]`);
    }
    seen.add(name);
  }
  for (const [name, shape] of expected) if (!seen.has(name)) problems.push(`missing ${name} [${shape}]`);
  if (problems.length === 0) return;
  const shown = problems.slice(0, 20);
  if (problems.length > shown.length) shown.push(`and ${problems.length - shown.length} more`);
  throw new ModelError(
    'MODEL_CHECKPOINT_TENSORS',
    `${source}: the tensors are not those of the model that config.json describes: ${shown.join('; ')}.`,
  );
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, i) => size === b[i]);
}

const wrongType = (name: string, dtype: string, source: string): ModelError =>
  new ModelError(
    'MODEL_CHECKPOINT_TENSORS',
    `${source}: ${name} has dtype ${dtype}, expected ${[...WEIGHT_BYTES.keys()].join(', ')}.`,
  );
