import type { FileHandle } from 'node:fs/promises';
import { ModelError } from '../errors.js';

/** One read call moves at most 2 GiB. */
const MOST = 2 ** 30;

/** Fills `bytes` from a place in a file; `path` names it. @throws MODEL_SAFETENSORS_TRUNCATED where it ends before */
export async function readBytes(
  file: FileHandle,
  position: number,
  bytes: Uint8Array<ArrayBuffer>,
  path: string,
): Promise<Uint8Array<ArrayBuffer>> {
  for (let done = 0; done < bytes.length; ) {
    const length = Math.min(bytes.length - done, MOST);
    const { bytesRead } = await file.read(bytes, done, length, position + done);
    if (bytesRead === 0) {
      throw new ModelError(
        'MODEL_SAFETENSORS_TRUNCATED',
        `${path}: the file ended at byte ${position + done} while it was being read; is someone writing it?`,
      );
    }
    done += bytesRead;
  }
  return bytes;
}
