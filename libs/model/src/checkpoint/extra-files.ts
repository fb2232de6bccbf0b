/** What else lies in the folder of a model: chat templates, settings of generation, files that only others know. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** Files of a checkpoint that are read, and written anew. */
export const OWN_FILES = [
  'config.json',
  'model.safetensors',
  'tokenizer.json',
  'tokenizer_config.json',
] as const;

/** Weights in this and other formats, and the lists of their shards: they are not of the model that is trained. */
const WEIGHTS = /\.(safetensors|bin|pt|pth|ckpt|h5|msgpack|onnx|onnx_data|gguf)$|\.index\.json$/i;
const MAX_BYTES = 2 ** 24;

/** The further files of a checkpoint that go with what is made of it, by name: no weights, folders or hidden files. */
export async function readExtraFiles(dir: string): Promise<Map<string, Uint8Array>> {
  const names = (await readdir(dir)).filter((name) => isExtraFile(name)).sort();
  const files = new Map<string, Uint8Array>();
  for (const name of names) {
    const path = join(dir, name);
    const about = await stat(path);
    if (about.isFile() && about.size <= MAX_BYTES) files.set(name, await readFile(path));
  }
  return files;
}

const isExtraFile = (name: string): boolean =>
  !name.startsWith('.') && !WEIGHTS.test(name) && !(OWN_FILES as readonly string[]).includes(name);
