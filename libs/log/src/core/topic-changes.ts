/** The differences of a topic that exists from its specification, in the same terms for every log. */
import type { TopicChange, TopicSpec } from '../port.js';

/** A topic's settings in Kafka's names. */
export const settingsOf = ({ cleanup, retentionMs, settings }: TopicSpec): Record<string, string> => ({
  'cleanup.policy': cleanup,
  // Records are kept for ever unless the specification says how long, because runs are replayed from them.
  ...(cleanup === 'delete' && { 'retention.ms': String(retentionMs ?? -1) }),
  ...settings,
});

/** The change that creates a topic. */
export function creation(spec: TopicSpec): TopicChange {
  const { name, partitions, replication } = spec;
  const parts = [
    `partitions=${partitions}`,
    ...(replication === undefined ? [] : [`replication=${replication}`]),
    ...Object.entries(settingsOf(spec)).map(([setting, value]) => `${setting}=${value}`),
  ];
  return { topic: name, kind: 'create', to: parts.join(', '), applies: true };
}

/** The change from `now` partitions, if any. */
export function partitionChange({ name: topic, partitions }: TopicSpec, now: number): TopicChange[] {
  if (partitions === now) return [];
  const change = { topic, kind: 'partitions', from: String(now), to: String(partitions) } as const;
  if (partitions > now) return [{ ...change, applies: true }];
  return [{ ...change, applies: false, note: 'partitions are never removed: their records would be lost' }];
}

/** The changes from the settings `now`, by name. A setting that the specification does not name is no difference. */
export function settingChanges(spec: TopicSpec, now: Readonly<Record<string, string>>): TopicChange[] {
  return Object.entries(settingsOf(spec)).flatMap(([setting, to]) => {
    const from = Object.hasOwn(now, setting) ? now[setting] : undefined;
    if (from === to) return [];
    const change = { topic: spec.name, kind: 'setting' as const, setting, to, applies: true };
    return [from === undefined ? change : { ...change, from }];
  });
}
