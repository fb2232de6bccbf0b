/** Which artifacts runs still need: the roots of a garbage collection. */
import {
  type ArtifactRef,
  artifactsOf,
  type DataFor,
  type ModelRef,
  type TopicEvent,
  type TopicName,
} from '@rlhf-streams/events';
import { bestModel } from './best.js';
import { specOf } from './methods/index.js';
import { namedSources } from './run-config.js';
import { applyRunEvent, artifactsUsed, hasEnded, type RunEvent, type RunView } from './runs.js';
import { publishedModel } from './versions.js';

/** Topics whose events name artifacts. */
export const ARTIFACT_TOPICS = ['runs', 'policy-versions', 'training-metrics'] as const satisfies TopicName[];

/** An event of `ARTIFACT_TOPICS`. */
export type ArtifactEvent = TopicEvent<(typeof ARTIFACT_TOPICS)[number]> &
  Pick<RunEvent, 'partition' | 'offset' | 'time'>;

/** What a run published. */
interface Published {
  /** By version. */
  readonly models: Map<number, ModelRef>;
  /** By the steps that were done. */
  readonly checkpoints: Map<number, ArtifactRef>;
  readonly steps: DataFor<'step.completed'>[];
}

/**
 * What must stay:
 * - of each run everything that it was started with, its archive, the results of its steps, and its best version
 * - its newest versions and checkpoints, as many as `keepCheckpoints` says; by default one of each once it has ended, and all
 *   before
 * - of a run that has not ended, the artifacts and versions of runs that its configuration names
 *
 * The order of events matters only within a run and topic, as the log keeps it.
 *
 * The log goes on while an artifact store collects. What is published meanwhile was put shortly before, and it is the
 * grace period of `collect` that protects it; it must be longer than any wait between a put and its announcement.
 */
export async function liveArtifacts(
  events: AsyncIterable<ArtifactEvent> | Iterable<ArtifactEvent>,
): Promise<ArtifactRef[]> {
  const runs = new Map<string, RunView>();
  const published = new Map<string, Published>();
  const live = new Map<string, ArtifactRef>();
  const keep = (refs: Iterable<ArtifactRef>) => {
    for (const ref of refs) live.set(ref.sha256, ref);
  };
  const publishedBy = (run: string): Published => {
    const known = published.get(run) ?? { models: new Map(), checkpoints: new Map(), steps: [] };
    published.set(run, known);
    return known;
  };

  for await (const event of events) {
    switch (event.type) {
      case 'policy.published': {
        const { run, version, model, checkpoint } = event.data;
        const { models, checkpoints } = publishedBy(run);
        models.set(version, model);
        if (checkpoint) checkpoints.set(checkpoint.step, checkpoint.artifact);
        break;
      }
      case 'step.completed': {
        const { run, step, checkpoint, results } = event.data;
        if (results) keep([results]);
        const { models, checkpoints, steps } = publishedBy(run);
        const model = publishedModel(event);
        if (model && !models.has(model.version)) models.set(model.version, model.model);
        if (checkpoint) checkpoints.set(step + 1, checkpoint);
        steps.push(event.data);
        break;
      }
      default:
        applyRunEvent(runs, event);
        if (event.type === 'run.started') keep(artifactsUsed(event.data));
    }
  }
  for (const [run, { models, checkpoints, steps }] of published) {
    const view = runs.get(run);
    const count = keptOf(view);
    for (const model of newest(models, count)) keep(artifactsOf(model));
    keep(newest(checkpoints, count));
    const best = view && bestModel(view, steps);
    if (best) keep(artifactsOf(best.model));
  }
  for (const view of runs.values()) {
    if (view.archive) keep([view.archive.artifact]);
    if (hasEnded(view) || !view.config) continue;
    keep(askedFor(view.config));
    for (const { source } of namedSources(view.config)) {
      if (source.from !== 'run' || source.version === undefined) continue;
      const model = published.get(source.run)?.models.get(source.version);
      if (model) keep(artifactsOf(model));
    }
  }
  return [...live.values()];
}

/** How many versions and checkpoints of a run stay. */
function keptOf(view: RunView | undefined): number {
  const config = view?.config;
  const most = config && 'keepCheckpoints' in config ? config.keepCheckpoints : undefined;
  if (view && hasEnded(view)) return most ?? 1;
  // While a run goes on, services may still ask for a version as old as its staleness bound allows.
  return most === undefined ? Number.POSITIVE_INFINITY : Math.max(most, specOf(config!).ahead + 1);
}

/** The values of the greatest numbers, `count` at most. */
const newest = <T>(values: ReadonlyMap<number, T>, count: number): T[] =>
  [...values]
    .sort(([a], [b]) => b - a)
    .slice(0, count)
    .map(([, value]) => value);

/** Artifacts that a configuration names itself, as `artifact:SHA256`, alone or in another source. */
function askedFor(json: unknown): ArtifactRef[] {
  if (typeof json === 'string')
    return [...json.matchAll(/artifact:([0-9a-f]{64})/g)].map(([uri, sha256]) => ({ uri, sha256: sha256! }));
  return typeof json === 'object' && json !== null ? Object.values(json).flatMap(askedFor) : [];
}
