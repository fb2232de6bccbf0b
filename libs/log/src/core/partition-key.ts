import type { TopicPartition } from '../port.js';

/** A partition as a map key. */
export const partitionKey = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`;
