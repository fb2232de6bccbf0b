/** Topics of a log of one process: there is one copy of each, with retention and cleanup as its only settings. */

import { creation, partitionChange, settingChanges, settingsOf } from '../core/topic-changes.js';
import type { TopicChange, TopicSpec } from '../port.js';

export interface EnsureOptions {
  /** Sets retention and cleanup of topics that exist. */
  readonly settings: boolean;
}

/** A topic as `ensureTopics` leaves it: its partitions never become fewer, and its settings change with `settings` alone. */
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
