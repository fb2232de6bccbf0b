/** Which policy version of a run is the newest: not always the one that came last, for one may be published again. */
import type { DataFor, TopicEvent } from '@rlhf-streams/events';

export type PublishedVersion = DataFor<'policy.published'>;

/** Keeps the newest version of each run, whatever the order of events and however often they come. */
export function applyVersion(
  versions: Map<string, PublishedVersion>,
  { data }: Pick<TopicEvent<'policy-versions'>, 'data'>,
): void {
  const newest = versions.get(data.run);
  if (!newest || data.version >= newest.version) versions.set(data.run, data);
}

/** The newest version of each run. */
export async function newestVersions(
  events: AsyncIterable<Pick<TopicEvent<'policy-versions'>, 'data'>>,
): Promise<ReadonlyMap<string, PublishedVersion>> {
  const versions = new Map<string, PublishedVersion>();
  for await (const event of events) applyVersion(versions, event);
  return versions;
}
