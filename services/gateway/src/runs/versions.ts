import type { DataFor } from '@rlhf-streams/events';
import type { Received } from '@rlhf-streams/runtime';

export type Published = DataFor<'policy.published'>;

/** Keeps the newest policy version of each run. */
export function applyVersion(versions: Map<string, Published>, { data }: Received<'policy-versions'>): void {
  const newest = versions.get(data.run);
  if (!newest || data.version >= newest.version) versions.set(data.run, data);
}
