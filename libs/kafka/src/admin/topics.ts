/** Creates topics, grows them and sets their settings; nothing is ever removed. */

import type { TopicChange, TopicSpec } from '@rlhf-streams/log';
import { creation, partitionChange, settingChanges, settingsOf } from '@rlhf-streams/log/core';
import type { KafkaSettings } from '../options.js';
import { leaderNotAvailable } from '../wire/cluster.js';
import type { PartitionMetadata } from '../wire/protocol.js';
import { metadata } from '../wire/requests.js';
import type { Wire } from '../wire/wire.js';

const REQUEST_TIMEOUT_MS = 15_000;
const SPREAD_TIMEOUT_MS = 30_000;

/**
 * Creates missing topics and adds missing partitions; with `settings` also sets the settings of topics that exist.
 * Resolves when every broker knows of what was created.
 */
export async function applyTopics(
  wire: Wire,
  specs: readonly TopicSpec[],
  { replication, settings = false }: Pick<KafkaSettings, 'replication'> & { readonly settings?: boolean },
): Promise<void> {
  const found = await existing(wire, specs);
  const missing = specs.filter(({ name }) => !found.has(name));
  const growing = specs.filter(
    ({ name, partitions }) => partitions > (found.get(name)?.length ?? partitions),
  );
  for (const spec of missing) await create(wire, spec, replication);
  for (const { name, partitions } of growing) await grow(wire, name, partitions);
  if (missing.length + growing.length > 0) await untilKnown(wire, [...missing, ...growing]);
  if (settings)
    await setSettings(
      wire,
      specs.filter(({ name }) => found.has(name)),
    );
}

/** What `applyTopics` with settings would change, and what differs that it would not. */
export async function planTopics(wire: Wire, specs: readonly TopicSpec[]): Promise<TopicChange[]> {
  const found = await existing(wire, specs);
  const settings = await settingsNow(wire, [...found.keys()]);
  return specs.flatMap((spec): TopicChange[] => {
    const partitions = found.get(spec.name);
    if (!partitions) return [creation(spec)];
    return [
      ...partitionChange(spec, partitions.length),
      ...replicationChange(spec, partitions[0]!.replicas.length),
      ...settingChanges(spec, valuesOf(settings.get(spec.name)!)),
    ];
  });
}

function replicationChange({ name: topic, replication }: TopicSpec, now: number): TopicChange[] {
  if (replication === undefined || replication === now) return [];
  return [
    {
      topic,
      kind: 'replication',
      from: String(now),
      to: String(replication),
      applies: false,
      note: "replicas are moved with Kafka's kafka-reassign-partitions",
    },
  ];
}

interface Setting {
  readonly value: string;
  /** Whether it is set for this topic; if not, it is a default of the brokers. */
  readonly own: boolean;
}

const valuesOf = (settings: ReadonlyMap<string, Setting>): Record<string, string> =>
  Object.fromEntries([...settings].map(([name, { value }]) => [name, value]));

const TOPIC_RESOURCE = 2;
/** The source of a setting that is set for the topic itself. */
const TOPIC_SOURCE = 1;

async function settingsNow(
  wire: Wire,
  topics: readonly string[],
): Promise<Map<string, ReadonlyMap<string, Setting>>> {
  if (topics.length === 0) return new Map();
  const { resources } = await wire.attempt(`read the settings of ${topics.join(', ')}`, async () => {
    const controller = await wire.controller();
    return controller.describeConfigs({
      resources: topics.map((name) => ({ type: TOPIC_RESOURCE, name, configNames: [] })),
    });
  });
  return new Map(
    resources.map(({ resourceName, configEntries }) => [
      resourceName,
      new Map(
        configEntries.map(({ configName, configValue, configSource }) => [
          configName,
          { value: configValue, own: configSource === TOPIC_SOURCE },
        ]),
      ),
    ]),
  );
}

/** The request replaces every setting that a topic has of its own, so those that `specs` do not name are sent along. */
async function setSettings(wire: Wire, specs: readonly TopicSpec[]): Promise<void> {
  const now = await settingsNow(
    wire,
    specs.map(({ name }) => name),
  );
  const differing = specs.filter((spec) => settingChanges(spec, valuesOf(now.get(spec.name)!)).length > 0);
  if (differing.length === 0) return;
  await wire.attempt(`set topics ${differing.map(({ name }) => name).join(', ')}`, async () => {
    const controller = await wire.controller();
    await controller.alterConfigs({
      resources: differing.map((spec) => {
        const own = [...now.get(spec.name)!].filter(([, setting]) => setting.own);
        const kept = Object.fromEntries(own.map(([name, { value }]) => [name, value]));
        const wanted = Object.entries({ ...kept, ...settingsOf(spec) });
        return {
          type: TOPIC_RESOURCE,
          name: spec.name,
          configEntries: wanted.map(([name, value]) => ({ name, value })),
        };
      }),
    });
  });
}

async function create(wire: Wire, spec: TopicSpec, replication: number): Promise<void> {
  const { name, partitions } = spec;
  await wire.attempt(`create topic ${name}`, async () => {
    const controller = await wire.controller();
    const topic = {
      topic: name,
      numPartitions: partitions,
      replicationFactor: spec.replication ?? replication,
      configEntries: Object.entries(settingsOf(spec)).map(([key, value]) => ({ name: key, value })),
    };
    await ignoring('TOPIC_ALREADY_EXISTS', () =>
      controller.createTopics({ topics: [topic], timeout: REQUEST_TIMEOUT_MS }),
    );
  });
}

async function grow(wire: Wire, topic: string, count: number): Promise<void> {
  await wire.attempt(`add partitions to topic ${topic}`, async () => {
    const controller = await wire.controller();
    // Another client may have grown it meanwhile.
    await ignoring('INVALID_PARTITIONS', () =>
      controller.createPartitions({ topicPartitions: [{ topic, count }], timeout: REQUEST_TIMEOUT_MS }),
    );
  });
}

async function ignoring(type: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const types = (error as { errors?: { type?: string }[] }).errors?.map((each) => each.type);
    if (types?.every((each) => each === type)) return;
    // kafkajs's aggregate error has no type of its own: its first error says whether the request may be made again.
    throw (error as { errors?: unknown[] }).errors?.[0] ?? error;
  }
}

/** A broker that does not know of a topic yet would say that there is none. */
async function untilKnown(wire: Wire, specs: readonly TopicSpec[]): Promise<void> {
  const names = specs.map(({ name }) => name);
  const look = async () => {
    for (const broker of await wire.brokers()) {
      const { topicMetadata } = await metadata(broker, names);
      for (const { name, partitions } of specs) {
        const found = topicMetadata.find(({ topic }) => topic === name)?.partitionMetadata ?? [];
        if (found.length < partitions || found.some(({ leader }) => leader < 0)) throw leaderNotAvailable();
      }
    }
  };
  await wire.attempt(`see topics ${names.join(', ')} at every broker`, look, {
    deadlineMs: SPREAD_TIMEOUT_MS,
  });
  // The metadata that this client holds may be older than the topics.
  await existing(wire, specs);
}

/** The partitions of those topics that exist. */
function existing(
  wire: Wire,
  specs: readonly TopicSpec[],
): Promise<Map<string, readonly PartitionMetadata[]>> {
  const names = specs.map(({ name }) => name);
  return wire.attempt(`describe topics ${names.join(', ')}`, () => wire.describe(names));
}
