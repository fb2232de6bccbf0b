/** Which files of a folder belong to a model: people's folders also hold other formats, optimizers and histories. */
import { readdir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';

const WEIGHTS = 'model.safetensors';
/** Of any size, for vocabularies are large. */
const TOKENIZER = 'tokenizer.json';
/** Configuration, vocabularies, templates, cards. */
const TEXTS: ReadonlySet<string> = new Set(['.json', '.jinja', '.txt', '.model', '.md']);
const MAX_TEXT_BYTES = 16 * 2 ** 20;

/** Names of a model's files in a folder, sorted: its weights, its tokenizer, and small text files beside them. */
export async function checkpointFiles(dir: string): Promise<string[]> {
  const names: string[] = [];
  for (const name of (await readdir(dir)).sort()) {
    if (name.startsWith('.') || !(name === WEIGHTS || TEXTS.has(extname(name)))) continue;
    // Links are followed: that is how Hugging Face's cache keeps a model.
    const found = await stat(join(dir, name)).catch((error: NodeJS.ErrnoException) => {
      // A link to nothing.
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (found?.isFile() && (name === WEIGHTS || name === TOKENIZER || found.size <= MAX_TEXT_BYTES))
      names.push(name);
  }
  return names;
}
