/** Topics of a log of one process. It keeps one copy, and has none of a broker's settings but retention and cleanup. */

import { creation, partitionChange, settingChanges, settingsOf } from '../core/topic-changes.js';
import type { TopicChange, TopicSpec } from '../port.js';

export interface EnsureOptions {
  /** Sets retention and cleanup of topics that exist. */
  readonly settings: boolean;
}

/** A topic as `ensureTopics` leaves it: with the partitions it has at least, and, but for `settings`, as it was kept. */
export function ensured(
  existing: TopicSpec | undefined,
  wanted: TopicSpec,
  { settings }: EnsureOptions,
): TopicSpec {
  const { name, cleanup, retentionMs } = existing && !settings ? existing : wanted;
  const partitions = Math.max(wanted.partitions, existing?.partitions ?? 0);
  return { name, partitions, cleanup, ...(retentionMs !== undefined && { retentionMs }) };
}

/** What `ensureTopics` with settings would make different. */
export function localChanges(existing: TopicSpec | undefined, wanted: TopicSpec): TopicChange[] {
  const { replication: _, settings: __, ...spec } = wanted;
  if (!existing) return [creation(spec)];
  return [...partitionChange(spec, existing.partitions), ...settingChanges(spec, settingsOf(existing))];
}
