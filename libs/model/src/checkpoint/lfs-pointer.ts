import { ModelError } from '../errors.js';

/** How the file begins that Git keeps in place of a large one. */
const BEGINNING = 'version https://git-lfs.github.com/spec/';
export const POINTER_BYTES = BEGINNING.length;

/**
 * @param text of the file, or its first POINTER_BYTES
 * @throws MODEL_FILE_POINTER where a clone without Git LFS has a pointer in place of the file
 */
export function checkNoPointer(text: string, path: string): void {
  if (!text.startsWith(BEGINNING)) return;
  throw new ModelError(
    'MODEL_FILE_POINTER',
    `${path} is a pointer of Git LFS, not the file: run \`git lfs pull\` in the clone, or fetch the model with \`hf download\`.`,
  );
}
