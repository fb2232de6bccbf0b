const MULTIPLIER = 0x5bd1e995;
const SEED = 0x9747b28c;

/**
 * Murmur2 (Austin Appleby, 32 bit) with the seed of Kafka's default partitioner, as a signed 32-bit integer:
 * the same bytes give the same number as `org.apache.kafka.common.utils.Utils.murmur2`.
 */
export function murmur2(data: Uint8Array): number {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const tail = data.length & ~3;
  let h = SEED ^ data.length;
  for (let i = 0; i < tail; i += 4) {
    let k = Math.imul(view.getInt32(i, true), MULTIPLIER);
    k ^= k >>> 24;
    h = Math.imul(h, MULTIPLIER) ^ Math.imul(k, MULTIPLIER);
  }
  for (let i = data.length - 1; i >= tail; i--) h ^= view.getUint8(i) << (8 * (i - tail));
  if (tail < data.length) h = Math.imul(h, MULTIPLIER);
  h = Math.imul(h ^ (h >>> 13), MULTIPLIER);
  return h ^ (h >>> 15);
}

/** The partition of a key among `partitions`, as Kafka's default partitioner chooses it. */
export function partitionOf(key: string, partitions: number): number {
  return (murmur2(Buffer.from(key)) & 0x7fffffff) % partitions;
}
