/** The events of one run, from its archive, from the log, or from both, the archive first. */
import type { ArtifactStore } from '@rlhf-streams/artifacts';
import { type Events, type Received, receive } from '@rlhf-streams/bus';
import { type ArchivedTopic, EventError } from '@rlhf-streams/events';
import type { LogRecord, Positions } from '@rlhf-streams/log';
import { isArchived, type RunArchive, type RunView } from '@rlhf-streams/runs';
import { archivedRecords, readContents } from './format.js';
import { startOf } from './write.js';

export interface ReadDependencies {
  readonly events: Pick<Events, 'readAll'>;
  readonly artifacts: Pick<ArtifactStore, 'fetch'>;
}

export interface ReadRunOptions {
  /** Events before these offsets are left out. */
  readonly from?: Positions;
  readonly signal?: AbortSignal;
}

/**
 * The events of a run on `topics`, up to the latest as of the call, within each partition in the order of the log. They
 * are the same, at the same offsets, whether the log still has them or only the run's archive.
 *
 * @throws ArtifactError, ArchiveError; what `readAll` throws.
 * @example for await (const event of runEvents({ events, artifacts }, view, ['rollouts', 'rewards'])) join.add(event);
 */
export async function* runEvents<Topic extends ArchivedTopic>(
  { events, artifacts }: ReadDependencies,
  view: RunView,
  topics: readonly Topic[],
  { from = {}, signal }: ReadRunOptions = {},
): AsyncGenerator<Received<Topic>, void> {
  const options = { from, ...(signal && { signal }) };
  if (view.archive) yield* archivedEvents({ artifacts }, view.archive, topics, options);
  if (isArchived(view)) return;
  const rest = furthest(startOf(view), from);
  for await (const event of events.readAll(topics, { ...options, from: rest }))
    if (event.data.run === view.run) yield event;
}

/** The events of an archive on `topics`: of several topics in the order of their times, as far as partitions allow. */
export async function* archivedEvents<Topic extends ArchivedTopic>(
  { artifacts }: Pick<ReadDependencies, 'artifacts'>,
  { artifact }: Pick<RunArchive, 'artifact'>,
  topics: readonly Topic[],
  { from = {}, signal }: ReadRunOptions = {},
): AsyncGenerator<Received<Topic>, void> {
  const directory = await artifacts.fetch(artifact, signal && { signal });
  const { counts } = await readContents(directory);
  const files = topics
    .filter((topic) => (counts[topic] ?? 0) > 0)
    .map((topic) => archivedRecords(directory, topic));
  for await (const record of byTime(files)) {
    signal?.throwIfAborted();
    if (record.offset < (from[record.topic]?.[record.partition] ?? 0)) continue;
    const event = eventOf(record);
    if (event) yield event;
  }
}

/** Undefined for a record that is no event: reading the log leaves it out too, as it is on topic `dead-letters`. */
function eventOf<Topic extends ArchivedTopic>(
  record: LogRecord & { readonly topic: Topic },
): Received<Topic> | undefined {
  try {
    return receive(record);
  } catch (error) {
    if (error instanceof EventError) return undefined;
    throw error;
  }
}

/** Merges sequences by time, so that events of one step come near each other and no sequence is held in memory. */
async function* byTime<T extends LogRecord>(
  sequences: readonly AsyncGenerator<T, void>[],
): AsyncGenerator<T, void> {
  try {
    const heads: { sequence: AsyncGenerator<T, void>; record: T }[] = [];
    for (const sequence of sequences) {
      const { value } = await sequence.next();
      if (value) heads.push({ sequence, record: value });
    }
    while (heads.length > 0) {
      const earliest = heads.reduce((a, b) => (b.record.timestamp < a.record.timestamp ? b : a));
      yield earliest.record;
      const { value } = await earliest.sequence.next();
      if (value) earliest.record = value;
      else heads.splice(heads.indexOf(earliest), 1);
    }
  } finally {
    for (const sequence of sequences) await sequence.return();
  }
}

/** The later of two offsets for each partition. */
export function furthest(one: Positions, other: Positions): Positions {
  const topics = new Set([...Object.keys(one), ...Object.keys(other)]);
  const later = (a: readonly number[] = [], b: readonly number[] = []) =>
    Array.from({ length: Math.max(a.length, b.length) }, (_, index) =>
      Math.max(a[index] ?? 0, b[index] ?? 0),
    );
  return Object.fromEntries([...topics].map((topic) => [topic, later(one[topic], other[topic])]));
}
