/**
 * Requests whose answers kafkajs reads too coarsely: there, the error of one topic or partition hides the answers of the
 * others, and a batch that is cut short looks like one that compaction left empty.
 */

import type { TopicPartition } from '@rlhf-streams/log';
import { LogError } from '@rlhf-streams/log';
import Decoder from 'kafkajs/src/protocol/decoder.js';
import Encoder from 'kafkajs/src/protocol/encoder.js';
import protocolErrors from 'kafkajs/src/protocol/error.js';
import decodeBatch from 'kafkajs/src/protocol/recordBatch/v0/decoder.js';
import fetchRequest from 'kafkajs/src/protocol/requests/fetch/v11/request.js';
import metadataResponse from 'kafkajs/src/protocol/requests/metadata/v6/response.js';
import type { Broker, ByTopic, ClusterMetadata, FetchedBatch, FetchedPartition } from './protocol.js';

/** The cluster's brokers, and these topics with an error code each. */
export function metadata(broker: Broker, topics: readonly string[]): Promise<ClusterMetadata> {
  return broker.connectionPool.send({
    request: {
      apiKey: 3,
      apiVersion: 6,
      apiName: 'Metadata',
      encode: async () => new Encoder().writeArray(topics).writeBoolean(false),
    },
    response: { decode: metadataResponse.decode, parse: async (answer) => answer as ClusterMetadata },
  });
}

export interface FetchRequest {
  readonly isolationLevel: number;
  readonly maxWaitTime: number;
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly topics: ByTopic<{
    readonly partition: number;
    readonly fetchOffset: string;
    readonly maxBytes: number;
  }>;
}

/** Record batches of partitions, or an error for each. */
export async function fetch(broker: Broker, request: FetchRequest): Promise<FetchedPartition[]> {
  const { partitions } = await broker.connectionPool.send({
    request: fetchRequest({ replicaId: -1, ...request }),
    response: { decode: decodeFetched, parse: async (answer) => answer },
  });
  return partitions;
}

/** https://kafka.apache.org/protocol#The_Messages_Fetch, version 11 */
async function decodeFetched(
  bytes: Buffer,
): Promise<{ clientSideThrottleTime: number; partitions: FetchedPartition[] }> {
  const decoder = new Decoder(bytes);
  const clientSideThrottleTime = decoder.readInt32();
  const errorCode = decoder.readInt16();
  if (errorCode !== 0) throw protocolErrors.createErrorFromCode(errorCode);
  decoder.readInt32(); // session
  const topics = await decoder.readArrayAsync(async () => {
    const topic = decoder.readString();
    return decoder.readArrayAsync(() => decodePartition(topic, decoder));
  });
  return { clientSideThrottleTime, partitions: topics.flat() };
}

async function decodePartition(topic: string, decoder: Decoder): Promise<FetchedPartition> {
  const partition = decoder.readInt32();
  const errorCode = decoder.readInt16();
  decoder.readInt64(); // high watermark
  const lastStableOffset = Number(decoder.readInt64());
  decoder.readInt64(); // log start
  const abortedTransactions = decoder.readArray(() => ({
    producerId: decoder.readInt64().toString(),
    firstOffset: Number(decoder.readInt64()),
  }));
  decoder.readInt32(); // preferred replica
  const at = { topic, partition };
  const records = decoder.readBytes();
  const answer = { ...at, lastStableOffset, abortedTransactions, batches: [] };
  if (errorCode !== 0) return { ...answer, error: protocolErrors.createErrorFromCode(errorCode) };
  try {
    return { ...answer, batches: records ? await decodeBatches(at, records) : [] };
  } catch (error) {
    return { ...answer, error };
  }
}

const MAGIC_OFFSET = 16;
/** Offset and length, which the length does not count. */
const PREFIX_BYTES = 12;
const MAGIC = 2;

/**
 * https://kafka.apache.org/documentation/#recordbatch. An answer may end in the middle of a batch, which is left out. A
 * later batch that cannot be read ends the list: the next fetch begins with it.
 * @throws why the first batch cannot be read.
 */
async function decodeBatches({ topic, partition }: TopicPartition, bytes: Buffer): Promise<FetchedBatch[]> {
  const batches: FetchedBatch[] = [];
  for (let at = 0; at + MAGIC_OFFSET < bytes.length; ) {
    const end = at + PREFIX_BYTES + bytes.readInt32BE(at + PREFIX_BYTES - 4);
    if (end > bytes.length) break;
    try {
      const magic = bytes.readInt8(at + MAGIC_OFFSET);
      if (magic !== MAGIC)
        throw new LogError(
          'LOG_CORRUPT',
          `Partition ${partition} of ${topic} holds records in format ${magic}, of before Kafka 0.11: only ${MAGIC} is read.`,
        );
      batches.push((await decodeBatch(new Decoder(bytes.subarray(at, end)))) as FetchedBatch);
    } catch (error) {
      if (batches.length === 0) throw error;
      break;
    }
    at = end;
  }
  return batches;
}
