import { gunzipSync, gzipSync } from 'node:zlib';
import kafkajs from 'kafkajs';
import { describe, expect, it } from 'vitest';
import { registerCodecs } from './codecs.js';

/** The records of one batch, as Kafka 4.3's Java client and librdkafka 2.0 compressed them. */
const FRAMES = {
  'lz4 of Java':
    'BCJNGGBAgk4AAAD/FeACAAAAAdICcmVjb3JkIDAgdGhlIHF1aWNrIGJyb3duIGZveBQAenYA4gIA2gECswAfMZ8Aeg8/AQECswAWBLMAHzKzAIpQZm94IAAAAAAA',
  'lz4 of librdkafka':
    'BCJNGGBAgkwAAAD/FeACAAAAAdICcmVjb3JkIDAgdGhlIHF1aWNrIGJyb3duIGZveBQAehAAsgAWArIAHzGeAHoPPgEBAbIAFgSyAB8ysgCKUGZveCAAAAAAAA==',
  'zstd of Java':
    'KLUv/QBY/AEA1ALgAgAAAAHSAnJlY29yZCAwIHRoZSBxdWljayBicm93biBmb3gA4AIAJgIxBDIFAB9ABWw3AspqZoNUHDXJAQAA',
  'zstd of librdkafka':
    'KLUv/QBY/QEA1ALgAgAAAAHSAnJlY29yZCAwIHRoZSBxdWljayBicm93biBmb3gA4AIAAAIxBDIFAB9ABWw3AspqZoNUHDXJ',
  'snappy of Java':
    'glNOQVBQWQAAAAABAAAAAQAAAFSWBJDgAgAAAAHSAnJlY29yZCAwIHRoZSBxdWljayBicm93biBmb3gg/hQA/hQALhQAFADgAgA+AhmyADH+sgD+sgCWsgAABBmyADL+sgD+sgCGsgA=',
  'snappy of librdkafka':
    'lgSQ4AIAAAAB0gJyZWNvcmQgMCB0aGUgcXVpY2sgYnJvd24gZm94IP4UAP4UAC4UAAAAAbIAAhmyADH+sgD+sgCWsgAABBmyADL+sgD+sgCGsgA=',
} as const;

const { GZIP, LZ4, ZSTD, Snappy } = kafkajs.CompressionTypes;
const CODECS = kafkajs.CompressionCodecs as unknown as Readonly<
  Record<
    number,
    () => { compress(bytes: Buffer): Promise<Buffer>; decompress(bytes: Buffer): Promise<Buffer> }
  >
>;
const TYPES: Readonly<Record<string, number>> = { lz4: LZ4, zstd: ZSTD, snappy: Snappy };

describe('codecs', () => {
  registerCodecs();

  it.each(Object.entries(FRAMES))('read %s', async (name, frame) => {
    const codec = CODECS[TYPES[name.split(' ')[0]!]!]!();
    const text = (await codec.decompress(Buffer.from(frame, 'base64'))).toString('latin1');
    expect(text.match(/record \d (the quick brown fox ){8}/g)).toHaveLength(3);
  });

  it.each([1, 64 * 1024, 64 * 1024 + 1, 1024 * 1024])(
    'give %d bytes back that gzip made smaller, and read those of other gzips',
    async (size) => {
      const text = Buffer.alloc(size, 'the quick brown fox ');
      const gzip = CODECS[GZIP]!() as unknown as {
        compress(encoder: { buffer: Buffer }): Promise<Buffer>;
        decompress(bytes: Buffer): Promise<Buffer>;
      };
      const compressed = await gzip.compress({ buffer: text });
      expect(gunzipSync(compressed).equals(text)).toBe(true);
      expect((await gzip.decompress(compressed)).equals(text)).toBe(true);
      expect((await gzip.decompress(gzipSync(text, { level: 9 }))).equals(text)).toBe(true);
    },
  );

  it('write none of these', async () => {
    await expect(CODECS[ZSTD]!().compress(Buffer.alloc(1))).rejects.toMatchObject({ code: 'LOG_INVALID' });
  });
});
