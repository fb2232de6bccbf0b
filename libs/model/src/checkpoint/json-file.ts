/** Files of a checkpoint that may be there or not. */
import { access, readFile, stat } from 'node:fs/promises';
import { ModelError } from '../errors.js';

/** The parsed file, or undefined where there is none. @throws a ModelError of this code */
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
    // The parser's own words quote the file, and errors travel further than its content should.
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
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}
