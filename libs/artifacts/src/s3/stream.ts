/** Reading one object to its end, over connections that may break. */
import type { Readable } from 'node:stream';
import { backoff } from '@rlhf-streams/waiting';
import { ArtifactError } from '../errors.js';
import type { Bucket, StoredObject } from './bucket.js';

const DELAYS = { minDelayMs: 100, maxDelayMs: 10_000 };

/**
 * Hands the object's bytes to `take`, in order; a broken connection is made anew, and goes on where it broke.
 * Returns how many there were; undefined when there is no such object.
 * @throws ArtifactError ARTIFACT_STORE_UNAVAILABLE after `attempts` connections without a byte; ARTIFACT_CORRUPT when
 * there are more bytes than the listing said.
 */
export async function streamObject(
  bucket: Bucket,
  { key, size }: StoredObject,
  attempts: number,
  signal: AbortSignal,
  take: (chunk: Buffer) => Promise<void> | void,
): Promise<number | undefined> {
  const delays = backoff(DELAYS);
  let taken = 0;
  for (let fruitless = 0; ; ) {
    const body = await bucket.read(key, taken, signal);
    if (!body) return undefined;
    const before = taken;
    const broken = await drain(body, async (chunk) => {
      taken += chunk.length;
      if (taken > size)
        throw new ArtifactError(
          'ARTIFACT_CORRUPT',
          `expected ${size} bytes of ${key} from ${bucket.url}, got more`,
        );
      await take(chunk);
    });
    signal.throwIfAborted();
    if (!broken || taken === size) return taken;

    if (taken > before) delays.reset();
    fruitless = taken > before ? 0 : fruitless + 1;
    if (fruitless === attempts)
      throw new ArtifactError(
        'ARTIFACT_STORE_UNAVAILABLE',
        `expected ${size} bytes of ${key} from ${bucket.url}, got ${taken} before the connection broke ` +
          `${attempts} times: ${broken.message}. Check the network, and try again`,
        { cause: broken },
      );
    await delays.pause(signal);
  }
}

/** The error the connection broke with; undefined at the end of the body. What `take` throws is thrown. */
async function drain(body: Readable, take: (chunk: Buffer) => Promise<void>): Promise<Error | undefined> {
  const chunks = body[Symbol.asyncIterator]();
  try {
    for (;;) {
      let next: IteratorResult<Buffer>;
      try {
        next = await chunks.next();
      } catch (error) {
        return error as Error;
      }
      if (next.done) return undefined;
      await take(next.value);
    }
  } finally {
    body.destroy();
  }
}
