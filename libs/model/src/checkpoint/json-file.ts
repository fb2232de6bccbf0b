/** JSON files of a checkpoint, each of which may be missing. */
import { access, readFile, stat } from 'node:fs/promises';
import { hasCode } from '@rlhf-streams/files';
import { ModelError } from '../errors.js';
import { checkNoPointer } from './lfs-pointer.js';

/** The parsed file, or undefined where it is missing. @throws ModelError of this code where it is too large or no JSON */
export async function readJson(path: string, maxBytes: number, code: `MODEL_${string}`): Promise<unknown> {
  if (!(await exists(path))) return undefined;
  const { size } = await stat(path);
  if (size > maxBytes) {
    throw new ModelError(code, `${path}: expected at most ${maxBytes} bytes of JSON, the file has ${size}.`);
  }
  const text = await readFile(path, 'utf8');
  try {
    return JSON.parse(text);
  } catch (cause) {
    checkNoPointer(text, path);
    // The parser's own message quotes the file, and errors are shown to people who may not read it.
    const position = /position \d+/.exec((cause as Error).message)?.[0];
    throw new ModelError(code, `${path} is not JSON${position === undefined ? '' : ` at ${position}`}`, {
      cause,
    });
  }
}

export async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return false;
    throw error;
  }
}

export const jsonText = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
