import { topics } from '@rlhf-streams/events';
import type { TopicSpec } from '@rlhf-streams/log';

/** Every topic of the registry, as `ensureTopics` of a log takes it. */
export const topicSpecs: readonly TopicSpec[] = Object.values(topics).map(
  ({ name, partitions, cleanup, retentionMs }) => ({
    name,
    partitions,
    cleanup,
    ...(retentionMs !== undefined && { retentionMs }),
  }),
);
