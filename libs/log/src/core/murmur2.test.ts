import { describe, expect, it } from 'vitest';
import { murmur2, partitionOf } from './murmur2.js';

/** From the tests of Apache Kafka's clients (UtilsTest.testMurmur2). */
const KAFKA_VECTORS: readonly (readonly [string, number])[] = [
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
];

describe('murmur2', () => {
  it.each(KAFKA_VECTORS)("hashes %j as Kafka's Utils.murmur2 does", (text, hash) => {
    expect(murmur2(Buffer.from(text))).toBe(hash);
  });

  it('reads a view into a larger buffer by its own bounds', () => {
    const padded = Buffer.from('xxfoobaryy');
    expect(murmur2(padded.subarray(2, 8))).toBe(-790332482);
  });

  it("drops the sign bit before the remainder, as Kafka's toPositive does", () => {
    expect(partitionOf('21', 7)).toBe((-973932308 & 0x7fffffff) % 7);
    expect(partitionOf('abc', 7)).toBe(479470107 % 7);
  });
});
