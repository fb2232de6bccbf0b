import { archivedTopics, type TopicName, topics } from '@rlhf-streams/events';
import type { TopicSpec } from '@rlhf-streams/log';

const archived: ReadonlySet<TopicName> = new Set(archivedTopics);

/**
 * Every topic of the registry, as `ensureTopics` of a log takes it. The log deletes no record of archived topics by its
 * age: how long those stay beyond their archives is the coordinator's to see to.
 */
export const topicSpecs: readonly TopicSpec[] = (Object.keys(topics) as TopicName[]).map((name) => {
  const { partitions, cleanup, retentionMs } = topics[name];
  return {
    name,
    partitions,
    cleanup,
    ...(retentionMs !== undefined && !archived.has(name) && { retentionMs }),
  };
});
