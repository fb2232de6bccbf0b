/**
 * The stable offsets of a group (KIP-447). A coordinator answers that a transaction is committed before its control
 * records are written. Until then a plain request for the group's offsets, which is all that kafkajs has, gets those of
 * before the transaction, and a member that begins there handles records twice. With `require_stable` the broker answers
 * UNSTABLE_OFFSET_COMMIT meanwhile, and the request is made again.
 */
import type { TopicPartition } from '@rlhf-streams/log';
import Decoder from 'kafkajs/src/protocol/decoder.js';
import Encoder from 'kafkajs/src/protocol/encoder.js';
import protocolErrors from 'kafkajs/src/protocol/error.js';
import { byTopic } from './partitions.js';
import type { Broker } from './protocol.js';

export interface CommittedOffset extends TopicPartition {
  /** -1: the group never committed one. */
  readonly offset: number;
}

interface Answer {
  readonly clientSideThrottleTime: number;
  readonly errorCodes: readonly number[];
  readonly offsets: readonly CommittedOffset[];
}

/** https://kafka.apache.org/protocol#The_Messages_OffsetFetch, version 7, which every broker from 2.5 on has. */
export function offsetFetch(
  coordinator: Broker,
  groupId: string,
  partitions: readonly TopicPartition[],
): Promise<readonly CommittedOffset[]> {
  return coordinator.connectionPool.send({
    request: {
      apiKey: 9,
      apiVersion: 7,
      apiName: 'OffsetFetch',
      encode: async () => encode(groupId, partitions),
    },
    response: {
      decode: async (bytes) => decode(bytes),
      async parse({ errorCodes, offsets }: Answer) {
        const failure = errorCodes.find((code) => code !== 0);
        if (failure !== undefined) throw protocolErrors.createErrorFromCode(failure);
        return offsets;
      },
    },
  });
}

/** Every structure of a version with compact encodings ends with its tagged fields; none are sent. */
const NO_TAGS = 0;

function encode(groupId: string, partitions: readonly TopicPartition[]): Encoder {
  const topics = byTopic(partitions, ({ partition }) => new Encoder().writeInt32(partition));
  return new Encoder()
    .writeUVarInt(NO_TAGS) // the end of the request's header, which kafkajs leaves out
    .writeUVarIntString(groupId)
    .writeUVarIntArray(
      topics.map(({ topic, partitions: numbers }) =>
        new Encoder().writeUVarIntString(topic).writeUVarIntArray(numbers).writeUVarInt(NO_TAGS),
      ),
    )
    .writeBoolean(true) // require_stable
    .writeUVarInt(NO_TAGS);
}

function decode(bytes: Buffer): Answer {
  const decoder = new Decoder(bytes);
  decoder.readTaggedFields(); // the end of the answer's header
  const clientSideThrottleTime = decoder.readInt32();
  const errorCodes: number[] = [];
  const topics = decoder.readUVarIntArray(() => {
    const topic = decoder.readUVarIntString();
    const offsets = decoder.readUVarIntArray(() => {
      const partition = decoder.readInt32();
      const offset = Number(decoder.readInt64());
      decoder.readInt32(); // leader epoch
      decoder.readUVarIntString(); // metadata
      errorCodes.push(decoder.readInt16());
      decoder.readTaggedFields();
      return { topic, partition, offset };
    });
    decoder.readTaggedFields();
    return offsets ?? [];
  });
  errorCodes.push(decoder.readInt16());
  return { clientSideThrottleTime, errorCodes, offsets: topics?.flat() ?? [] };
}
