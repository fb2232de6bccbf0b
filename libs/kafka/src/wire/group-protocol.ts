/** What members of a group tell each other through the broker, as bytes: kafkajs's encodings of claims and assignments. */
import kafkajs from 'kafkajs';
import type { Partitions } from './protocol.js';

const { AssignerProtocol } = kafkajs;

const VERSION = 1;

/** @param userData what the members of this client's protocol add. */
export const encodeMemberMetadata = (topics: readonly string[], userData: Buffer): Buffer =>
  AssignerProtocol.MemberMetadata.encode({ version: VERSION, topics: [...topics], userData });

export function decodeMemberMetadata(metadata: Buffer): {
  readonly topics: readonly string[];
  readonly userData: Buffer;
} {
  const { topics, userData } = AssignerProtocol.MemberMetadata.decode(metadata)!;
  return { topics, userData };
}

export const encodeAssignment = (partitions: Partitions): Buffer =>
  AssignerProtocol.MemberAssignment.encode({
    version: VERSION,
    assignment: Object.fromEntries(
      Object.entries(partitions).map(([topic, numbers]) => [topic, [...numbers]]),
    ),
    userData: Buffer.alloc(0),
  });

/** A member that joined after the leader had assigned partitions gets an empty assignment. */
export function decodeAssignment(assignment: Buffer): Partitions {
  return AssignerProtocol.MemberAssignment.decode(assignment)?.assignment ?? {};
}
