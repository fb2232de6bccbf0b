/** The random numbers of a rollout: a function of run seed, rollout id and position, in any batch and on any replica. */
import { createHash } from 'node:crypto';
import { type PhiloxKey, philox4x32 } from '@rlhf-streams/random';
import { ModelError } from '../errors.js';

export type { PhiloxKey } from '@rlhf-streams/random';

/** The key of one rollout in one run: the first 64 bits of SHA-256 over both. Seed 7 and seed '7' are the same. */
export function keyFor(runSeed: number | string, rolloutId: string): PhiloxKey {
  if (typeof runSeed === 'number' && !Number.isSafeInteger(runSeed)) {
    throw new ModelError(
      'MODEL_SAMPLING_OPTIONS',
      `A run seed must be an integer or a string, got ${runSeed}.`,
    );
  }
  const digest = createHash('sha256')
    .update(JSON.stringify([String(runSeed), rolloutId]))
    .digest();
  return [digest.readUInt32LE(0), digest.readUInt32LE(4)];
}

/**
 * A number in [0, 1) with 53 random bits, uniform over positions for a fixed key.
 * @param position a non-negative integer, e.g. the index of the token that is drawn
 */
export function uniform(key: PhiloxKey, position: number): number {
  if (!Number.isSafeInteger(position) || position < 0) {
    throw new ModelError(
      'MODEL_SAMPLING_OPTIONS',
      `A position must be a non-negative integer, got ${position}.`,
    );
  }
  const [high, low] = philox4x32([position >>> 0, Math.floor(position / 2 ** 32), 0, 0], key);
  return ((high >>> 5) * 2 ** 26 + (low >>> 6)) / 2 ** 53;
}
