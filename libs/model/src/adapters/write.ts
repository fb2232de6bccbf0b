/** Writes a folder as PEFT's `save_pretrained` does. */
import { type FileContents, hasCode, writeFolderAtomically } from '@rlhf-streams/files';
import { jsonText } from '../checkpoint/json-file.js';
import { safetensorsPieces } from '../checkpoint/safetensors.js';
import { ModelError } from '../errors.js';
import type { ModelConfig } from '../model-config.js';
import type { TokenizerFiles } from '../tokenizer/files.js';
import type { WeightTensor } from '../weights.js';
import { ADAPTER_CONFIG, ADAPTER_WEIGHTS, OFFSET, peftName } from './files.js';
import { peftJson } from './peft-config.js';
import { adapterTensors } from './tensors.js';

export interface AdapterToWrite {
  /** The config of the base with the adapter. */
  readonly config: ModelConfig;
  /** Those of the adapter, by their names in `tensorsOf(config)`; others are left out. */
  readonly tensors: ReadonlyMap<string, WeightTensor>;
  /** What PEFT finds the base by: a folder, or a name on the Hugging Face hub. */
  readonly base: string;
  readonly tokenizer?: TokenizerFiles | undefined;
  /** Contents of further files of the folder, by their names. */
  readonly extraFiles?: ReadonlyMap<string, string | Uint8Array> | undefined;
}

/**
 * Writes a folder that PEFT's `from_pretrained` loads. It appears whole or not at all, and the same adapter gives the same
 * bytes.
 * @throws ModelError MODEL_CHECKPOINT_EXISTS where `dir` is already there with something in it, MODEL_ADAPTER_CONFIG where
 *   the model has no adapter, MODEL_ADAPTER_TENSORS where a tensor is missing
 */
export async function writeAdapter(
  dir: string,
  { config, tensors, base, tokenizer, extraFiles = new Map() }: AdapterToWrite,
): Promise<void> {
  const offset = config.head.kind === 'scalar' ? config.head.offset : undefined;
  const stored = new Map(
    [...adapterTensors(config)].map(([name, { shape }]) => {
      const tensor = tensors.get(name);
      if (`${tensor?.shape}` === `${shape}`) return [peftName(config, name), tensor!];
      throw new ModelError(
        'MODEL_ADAPTER_TENSORS',
        `adapter for ${dir}: expected ${name} [${shape}], got ${tensor ? `[${tensor.shape}]` : 'none'}`,
      );
    }),
  );
  const metadata = { format: 'pt', ...(offset !== undefined && { [OFFSET]: String(offset) }) };
  const files = new Map<string, FileContents>([
    [ADAPTER_WEIGHTS, safetensorsPieces(stored, metadata)],
    [ADAPTER_CONFIG, jsonText(peftJson(config, base))],
  ]);
  if (tokenizer) files.set('tokenizer.json', jsonText(tokenizer.json));
  if (tokenizer?.config !== undefined) files.set('tokenizer_config.json', jsonText(tokenizer.config));
  for (const [name, contents] of extraFiles)
    files.set(name, typeof contents === 'string' ? contents : [contents]);
  try {
    await writeFolderAtomically(dir, files);
  } catch (cause) {
    if (!hasCode(cause, 'ENOTEMPTY', 'EEXIST', 'ENOTDIR')) throw cause;
    throw new ModelError(
      'MODEL_CHECKPOINT_EXISTS',
      `${dir} is already there; an adapter is never written over: choose another folder or remove this one.`,
      { cause },
    );
  }
}
