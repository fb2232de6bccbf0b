/** Which policy version of a run is the newest. That is not always the last event: a version may be published again. */
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

/** A model that a run made. */
export type PublishedModel = Pick<PublishedVersion, 'version' | 'step' | 'model'>;

/**
 * The model that an event names. Steps name theirs too, and for longer: compaction of `policy-versions` leaves only
 * the newest.
 */
export function publishedModel(
  event: TopicEvent<'policy-versions' | 'training-metrics'>,
): PublishedModel | undefined {
  if (event.type === 'policy.published') return event.data;
  const { step, policyVersion, published } = event.data;
  return published && { version: policyVersion, step: step + 1, model: published };
}

/** The newest version of each run. */
export async function newestVersions(
  events: AsyncIterable<Pick<TopicEvent<'policy-versions'>, 'data'>>,
): Promise<ReadonlyMap<string, PublishedVersion>> {
  const versions = new Map<string, PublishedVersion>();
  for await (const event of events) applyVersion(versions, event);
  return versions;
}
