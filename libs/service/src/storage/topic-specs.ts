/** Topics as an installation wants them. */

import { RuntimeError, topicSpecs } from '@rlhf-streams/bus';
import type { TopicName } from '@rlhf-streams/events';
import type { TopicSpec } from '@rlhf-streams/log';
import { z } from 'zod';
import { type Environment, readSettings } from '../settings/settings.js';
import { readTopicsFile, type TopicSettings, type TopicsFile } from './topics-file.js';

export const topicSettings = z.object({
  RLHF_TOPIC_PARTITIONS: z.coerce
    .number()
    .int()
    .min(1)
    .max(10_000)
    .optional()
    .meta({ defaultInWords: "the registry's, 6 for most topics" })
    .describe(
      'partitions of every topic to which RLHF_TOPICS_FILE gives none of its own: the most replicas of a service that can share its work; partitions are added, never removed',
    ),
  RLHF_TOPIC_REPLICATION: z.coerce
    .number()
    .int()
    .min(1)
    .max(1_000)
    .optional()
    .meta({ defaultInWords: "the brokers'" })
    .describe(
      'copies of every topic that RLHF_TOPICS_FILE does not name with its own: with one, what is on a broker that is lost is lost',
    ),
  RLHF_TOPICS_FILE: z
    .string()
    .optional()
    .describe(
      'YAML file of partitions, replication, retention and settings of topics, as libs/service/README.md shows; its entry for a topic comes before all other settings',
    ),
});

/**
 * Every topic of the registry as an environment wants it: the file's entry for the topic, else the environment, else
 * the file's defaults, else the registry. A default retention is for work in flight: what is kept for ever stays so,
 * unless the file names the topic.
 *
 * @throws RuntimeError RUNTIME_SETTINGS naming every mistake of the environment, or of the file.
 */
export async function topicSpecsFor(environment: Environment): Promise<readonly TopicSpec[]> {
  const [{ RLHF_TOPIC_PARTITIONS, RLHF_TOPIC_REPLICATION, RLHF_TOPICS_FILE }] = readSettings(
    environment,
    topicSettings,
  );
  const file: TopicsFile = RLHF_TOPICS_FILE ? await readTopicsFile(RLHF_TOPICS_FILE) : {};
  const defaults: TopicSettings = {
    ...file.defaults,
    ...(RLHF_TOPIC_PARTITIONS !== undefined && { partitions: RLHF_TOPIC_PARTITIONS }),
    ...(RLHF_TOPIC_REPLICATION !== undefined && { replication: RLHF_TOPIC_REPLICATION }),
  };
  const specs = topicSpecs.map((spec) => configured(spec, defaults, file.topics?.[spec.name as TopicName]));
  const mistakes = specs.flatMap(tooFewReplicas);
  if (mistakes.length > 0)
    throw new RuntimeError('RUNTIME_SETTINGS', `expected topics that take records:\n${mistakes.join('\n')}`);
  return specs;
}

function configured(registered: TopicSpec, defaults: TopicSettings, own: TopicSettings = {}): TopicSpec {
  const { retentionMs: _, ...spec } = registered;
  const { partitions = spec.partitions, replication } = { ...defaults, ...own };
  const settings = { ...defaults.settings, ...own.settings };
  const retention =
    own.retention ??
    (registered.retentionMs === undefined ? 'forever' : (defaults.retention ?? registered.retentionMs));
  return {
    ...spec,
    partitions,
    ...(retention !== 'forever' && { retentionMs: retention }),
    ...(replication !== undefined && { replication }),
    ...(Object.keys(settings).length > 0 && { settings }),
  };
}

/** A topic with fewer copies than must be in sync takes no record. */
function tooFewReplicas({ name, replication, settings = {} }: TopicSpec): string[] {
  const inSync = settings['min.insync.replicas'];
  if (inSync === undefined || replication === undefined || Number(inSync) <= replication) return [];
  return [`  ${name}: expected min.insync.replicas to be at most its ${replication} copies, got ${inSync}`];
}
