/** Which artifacts runs still need: the roots of a garbage collection. */
import { type ArtifactRef, artifactsOf, type TopicEvent, type TopicName } from '@rlhf-streams/events';
import { applyRunEvent, artifactsUsed, hasEnded, type RunEvent, type RunView } from './runs.js';
import { applyVersion, type PublishedVersion } from './versions.js';

/** Topics whose events name artifacts. */
export const ARTIFACT_TOPICS = ['runs', 'policy-versions', 'training-metrics'] as const satisfies TopicName[];

/** An event of `ARTIFACT_TOPICS`. */
export type ArtifactEvent = TopicEvent<(typeof ARTIFACT_TOPICS)[number]> &
  Pick<RunEvent, 'partition' | 'offset' | 'time'>;

/**
 * What must stay: everything that a run was started with; the newest version of each run and the checkpoint to go on
 * from; the archive of each run, and the results of its steps; of runs that have not ended, everything that they published or were asked to use. The order of events matters
 * only within a run and topic, as the log keeps it.
 *
 * The log goes on while an artifact store collects. What is published meanwhile was put shortly before, and it is the
 * grace period of `collect` that protects it; it must be longer than any wait between a put and its announcement.
 */
export async function liveArtifacts(
  events: AsyncIterable<ArtifactEvent> | Iterable<ArtifactEvent>,
): Promise<ArtifactRef[]> {
  const runs = new Map<string, RunView>();
  const newest = new Map<string, PublishedVersion>();
  const published = new Map<string, Map<string, ArtifactRef>>();
  const live = new Map<string, ArtifactRef>();
  const keep = (refs: Iterable<ArtifactRef>, kept = live) => {
    for (const ref of refs) kept.set(ref.sha256, ref);
  };

  for await (const event of events) {
    switch (event.type) {
      case 'policy.published':
        applyVersion(newest, event);
        keep(namedBy(event.data), publishedBy(published, event.data.run));
        break;
      case 'step.completed':
        if (event.data.results) keep([event.data.results]);
        if (event.data.published)
          keep(artifactsOf(event.data.published), publishedBy(published, event.data.run));
        break;
      default:
        applyRunEvent(runs, event);
        if (event.type === 'run.started') keep(artifactsUsed(event.data));
    }
  }
  for (const version of newest.values()) keep(namedBy(version));
  for (const [run, refs] of published) {
    const view = runs.get(run);
    if (!view || !hasEnded(view)) keep(refs.values());
  }
  for (const view of runs.values()) {
    if (view.archive) keep([view.archive.artifact]);
    if (!hasEnded(view) && view.config) keep(askedFor(view.config));
  }
  return [...live.values()];
}

function publishedBy(published: Map<string, Map<string, ArtifactRef>>, run: string) {
  const refs = published.get(run) ?? new Map<string, ArtifactRef>();
  published.set(run, refs);
  return refs;
}

const namedBy = ({ model, checkpoint }: PublishedVersion): ArtifactRef[] => [
  ...artifactsOf(model),
  ...(checkpoint ? [checkpoint.artifact] : []),
];

/** Artifacts that a configuration names itself, as `artifact:SHA256`. */
function askedFor(json: unknown): ArtifactRef[] {
  if (typeof json === 'string') {
    const sha256 = /^artifact:([0-9a-f]{64})$/.exec(json)?.[1];
    return sha256 ? [{ uri: json, sha256 }] : [];
  }
  return typeof json === 'object' && json !== null ? Object.values(json).flatMap(askedFor) : [];
}
