/** Which files of a folder belong to a model: people's folders also hold other formats, optimizers and histories. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { unlessMissing } from '@rlhf-streams/files';
import { weightFiles } from './stored.js';

/** Files of a checkpoint, and of an adapter, that are read, and written anew. */
export const OWN_FILES: readonly string[] = [
  'config.json',
  'model.safetensors',
  'tokenizer.json',
  'tokenizer_config.json',
  'adapter_config.json',
  'adapter_model.safetensors',
];

/** Weights in this and other formats, and the indexes of their shards: a trained model has weights of its own. */
const WEIGHTS = /\.(safetensors|bin|pt|pth|ckpt|h5|msgpack|onnx|onnx_data|gguf)$|\.index\.json$/i;
const MAX_EXTRA_BYTES = 2 ** 24;

/**
 * Names of a model's files in a folder, sorted: its own, and the small ones beside them.
 * @throws MODEL_CHECKPOINT_INDEX
 */
export async function checkpointFiles(dir: string): Promise<string[]> {
  const own = new Set([...OWN_FILES, ...(await weightFiles(dir))]);
  const names: string[] = [];
  for (const name of (await readdir(dir)).sort()) {
    const isOwn = own.has(name);
    if (!isOwn && (name.startsWith('.') || WEIGHTS.test(name))) continue;
    // Links are followed, as Hugging Face's cache keeps a model by them; one that points nowhere is left out.
    const found = await unlessMissing(stat(join(dir, name)));
    if (found?.isFile() && (isOwn || found.size <= MAX_EXTRA_BYTES)) names.push(name);
  }
  return names;
}

/**
 * Contents, by name, of the files that go along from a checkpoint to the models trained from it: chat templates,
 * settings of generation, files of other programs.
 */
export async function readExtraFiles(dir: string): Promise<Map<string, Uint8Array>> {
  const isExtra = (name: string) => !OWN_FILES.includes(name) && !WEIGHTS.test(name);
  const extra = (await checkpointFiles(dir)).filter(isExtra);
  return new Map(
    await Promise.all(extra.map(async (name) => [name, await readFile(join(dir, name))] as const)),
  );
}
