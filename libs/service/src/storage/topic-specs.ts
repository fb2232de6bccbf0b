/** Topics as an installation wants them. */

import { RuntimeError, topicSpecs } from '@rlhf-streams/bus';
import { type ArchivedTopic, archivedTopics, type TopicName, topics } from '@rlhf-streams/events';
import type { TopicSpec } from '@rlhf-streams/log';
import { z } from 'zod';
import { type Environment, readSettings } from '../settings/settings.js';
import { readTopicsFile, SHORTEST_RETENTION_MS, type TopicSettings, type TopicsFile } from './topics-file.js';

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
  RLHF_TOPIC_RETENTION_MS: z.coerce
    .number()
    .int()
    .min(0)
    .refine((ms) => ms === 0 || ms >= SHORTEST_RETENTION_MS, 'expected 0, or at least an hour: 3600000')
    .optional()
    .meta({ defaultInWords: "the registry's, 604800000 (seven days)" })
    .describe(
      'milliseconds for which work in flight stays on its topics; then the coordinator deletes it, if no run needs it that is not archived; 0 keeps it for ever. RLHF_TOPICS_FILE may give a topic its own',
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
  const [settings] = readSettings(environment, topicSettings);
  const { file, defaults } = await wantedBy(settings);
  const specs = topicSpecs.map((spec) => configured(spec, defaults, file.topics?.[spec.name as TopicName]));
  const mistakes = specs.flatMap(tooFewReplicas);
  if (mistakes.length > 0)
    throw new RuntimeError('RUNTIME_SETTINGS', `expected topics that take records:\n${mistakes.join('\n')}`);
  return specs;
}

/**
 * How long records stay on the topics of runs, in milliseconds, by the same rules; topics that keep theirs for ever are
 * left out. The log is not told: the coordinator deletes what is older and archived.
 *
 * @throws RuntimeError RUNTIME_SETTINGS naming every mistake of the file.
 */
export async function runRetention(
  settings: z.output<typeof topicSettings>,
): Promise<ReadonlyMap<ArchivedTopic, number>> {
  const { file, defaults } = await wantedBy(settings);
  return new Map(
    archivedTopics.flatMap((name) => {
      const { cleanup, state, retentionMs } = topics[name];
      if (cleanup === 'compact' || state) return [];
      const kept = retentionOf(retentionMs, defaults, file.topics?.[name]);
      return kept === 'forever' ? [] : [[name, kept] as const];
    }),
  );
}

async function wantedBy({
  RLHF_TOPIC_PARTITIONS,
  RLHF_TOPIC_REPLICATION,
  RLHF_TOPIC_RETENTION_MS,
  RLHF_TOPICS_FILE,
}: z.output<typeof topicSettings>): Promise<{ readonly file: TopicsFile; readonly defaults: TopicSettings }> {
  const file: TopicsFile = RLHF_TOPICS_FILE ? await readTopicsFile(RLHF_TOPICS_FILE) : {};
  const defaults: TopicSettings = {
    ...file.defaults,
    ...(RLHF_TOPIC_PARTITIONS !== undefined && { partitions: RLHF_TOPIC_PARTITIONS }),
    ...(RLHF_TOPIC_REPLICATION !== undefined && { replication: RLHF_TOPIC_REPLICATION }),
    ...(RLHF_TOPIC_RETENTION_MS !== undefined && { retention: RLHF_TOPIC_RETENTION_MS || 'forever' }),
  };
  return { file, defaults };
}

/** How long a topic keeps its records where the registry says `registeredMs`, or for ever where it says nothing. */
const retentionOf = (
  registeredMs: number | undefined,
  defaults: TopicSettings,
  own: TopicSettings = {},
): number | 'forever' =>
  own.retention ?? (registeredMs === undefined ? 'forever' : (defaults.retention ?? registeredMs));

const archived: ReadonlySet<string> = new Set(archivedTopics);

function configured(registered: TopicSpec, defaults: TopicSettings, own: TopicSettings = {}): TopicSpec {
  const { retentionMs: _, ...spec } = registered;
  const { partitions = spec.partitions, replication } = { ...defaults, ...own };
  const settings = { ...defaults.settings, ...own.settings };
  const retention = archived.has(spec.name) ? 'forever' : retentionOf(registered.retentionMs, defaults, own);
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
