/**
 * Codecs of record batches: gzip for what is published, and lz4, zstd and snappy for reading what other clients publish.
 */
import { promisify } from 'node:util';
import zlib from 'node:zlib';
import { LogError } from '@rlhf-streams/log';
import { decompress as unzstd } from 'fzstd';
import kafkajs from 'kafkajs';
import { decompress as unlz4 } from 'lz4js';
import { uncompress as unsnappy } from 'snappyjs';

const { CompressionCodecs, CompressionTypes } = kafkajs;

export function registerCodecs(): void {
  CompressionCodecs[CompressionTypes.GZIP] = () => gzip;
  CompressionCodecs[CompressionTypes.LZ4] = readOnly('lz4', (bytes) => unlz4(bytes));
  CompressionCodecs[CompressionTypes.ZSTD] = readOnly('zstd', (bytes) => unzstd(bytes));
  CompressionCodecs[CompressionTypes.Snappy] = readOnly('snappy', unsnappyFramed);
}

/**
 * Up to this size a batch is compressed, or read, in this thread: that takes half a millisecond, and less than handing it
 * to a thread of the pool, which has to wait for a core while something computes.
 */
const SMALL_BYTES = 64 * 1024;
/** Level 1 takes a third of the time of the default, 6, and makes events 7 % larger (measured). */
const LEVEL = { level: 1 };
const [gzipInPool, gunzipInPool] = [
  promisify<Buffer, zlib.ZlibOptions, Buffer>(zlib.gzip),
  promisify(zlib.gunzip),
];

/** Replaces kafkajs's gzip, which compresses everything in the pool of threads, at level 6. */
const gzip = {
  compress: async ({ buffer }: { readonly buffer: Buffer }): Promise<Buffer> =>
    buffer.length <= SMALL_BYTES ? zlib.gzipSync(buffer, LEVEL) : gzipInPool(buffer, LEVEL),
  decompress: async (bytes: Buffer): Promise<Buffer> =>
    bytes.length <= SMALL_BYTES ? zlib.gunzipSync(bytes) : gunzipInPool(bytes),
};

const readOnly = (name: string, decompress: (bytes: Buffer) => Uint8Array) => () => ({
  async compress(): Promise<Buffer> {
    throw new LogError('LOG_INVALID', `Batches are published with gzip or uncompressed, not with ${name}.`);
  },
  async decompress(bytes: Buffer): Promise<Buffer> {
    return Buffer.from(decompress(bytes));
  },
});

/** Java clients frame snappy's blocks: a magic number, two version numbers, then the length and the bytes of each block. */
const SNAPPY_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0]);
const SNAPPY_HEADER_BYTES = 16;

function unsnappyFramed(bytes: Buffer): Uint8Array {
  if (!bytes.subarray(0, SNAPPY_MAGIC.length).equals(SNAPPY_MAGIC)) return unsnappy(bytes);
  const blocks: Uint8Array[] = [];
  for (let at = SNAPPY_HEADER_BYTES; at < bytes.length; ) {
    const size = bytes.readInt32BE(at);
    blocks.push(unsnappy(bytes.subarray(at + 4, at + 4 + size)));
    at += 4 + size;
  }
  return Buffer.concat(blocks);
}
