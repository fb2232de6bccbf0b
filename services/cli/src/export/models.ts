/** Finds the model that `RUN` or `RUN@VERSION` names: the log must have an event of it, and it must still be stored. */
import type { ArtifactStore } from '@rlhf-streams/artifacts';
import type { Events } from '@rlhf-streams/bus';
import { artifactsOf, type DataFor, nearest } from '@rlhf-streams/events';
import {
  ARTIFACT_TOPICS,
  applyRunEvent,
  bestModel,
  hasEnded,
  onlyMeasures,
  type PublishedModel,
  parseSource,
  publishedModel,
  type RunView,
  sourceText,
} from '@rlhf-streams/runs';
import { CliError } from '../errors.js';

/** A run and one of its versions, by default the best where the run names one so, and else the newest. */
export interface ModelName {
  readonly run: string;
  readonly version?: number;
}

export function parseModelName(text: string): ModelName {
  const [, run, version] = /^([^@]+)(?:@(\d+))?$/.exec(text) ?? [];
  if (run === undefined) throw refused(`expected RUN or RUN@VERSION, as in my-ppo@40, got ${text}`);
  return { run, ...(version !== undefined && { version: Number(version) }) };
}

interface RunModels {
  readonly view?: RunView;
  /** What it published, by version. */
  readonly models: Map<number, PublishedModel>;
  readonly steps: readonly DataFor<'step.completed'>[];
}

/** @throws CliError CLI_EXPORT_REFUSED naming the runs, or the versions, that there are. */
export async function findModel(
  {
    events,
    artifacts,
  }: { readonly events: Pick<Events, 'readAll'>; readonly artifacts: Pick<ArtifactStore, 'has'> },
  { run, version }: ModelName,
): Promise<PublishedModel> {
  const runs = await readRunModels(events);
  const { view, models, steps } = runs.get(run) ?? { models: new Map(), steps: [] };
  if (view?.config && onlyMeasures(view.config)) {
    const model = parseSource('model', view.config.model);
    const hint = model.from === 'run' ? `: it sampled from ${sourceText(model)}, export that` : '';
    throw refused(`run ${run} samples and trains nothing, so it has no model of its own${hint}`);
  }
  if (models.size === 0) throw refused(noModel(run, view, runs));

  const stored: PublishedModel[] = [];
  for (const model of [...models.values()].sort((a, b) => a.version - b.version))
    if (await isStored(artifacts, model)) stored.push(model);
  if (stored.length === 0) {
    throw refused(
      `expected a model of run ${run} to be stored, got none of ${models.size}: is this where its services keep artifacts (--directory, RLHF_ARTIFACTS_URL)?`,
    );
  }
  const wanted = version ?? bestStored(view, steps, stored)?.version ?? stored.at(-1)!.version;
  const found = stored.find(({ version }) => version === wanted);
  if (found) return found;
  const what = models.has(wanted)
    ? `version ${wanted} of run ${run} was removed when artifacts were collected`
    : `run ${run} has published no version ${wanted}`;
  throw refused(`${what}; there are ${listed(stored)}`);
}

async function isStored(artifacts: Pick<ArtifactStore, 'has'>, { model }: PublishedModel): Promise<boolean> {
  const all = await Promise.all(artifactsOf(model).map((artifact) => artifacts.has(artifact)));
  return all.every(Boolean);
}

/** The best version, where the run names one so and it is stored. */
function bestStored(
  view: RunView | undefined,
  steps: RunModels['steps'],
  stored: readonly PublishedModel[],
): PublishedModel | undefined {
  const best = view && bestModel(view, steps);
  return best && stored.find(({ version }) => version === best.version);
}

async function readRunModels(events: Pick<Events, 'readAll'>): Promise<Map<string, RunModels>> {
  const views = new Map<string, RunView>();
  const models = new Map<string, Map<number, PublishedModel>>();
  const steps = new Map<string, DataFor<'step.completed'>[]>();
  for await (const event of events.readAll(ARTIFACT_TOPICS)) {
    if (event.type !== 'policy.published' && event.type !== 'step.completed') {
      applyRunEvent(views, event);
      continue;
    }
    const model = publishedModel(event);
    const { run } = event.data;
    if (event.type === 'step.completed') pushTo(steps, run, event.data);
    if (model) models.set(run, (models.get(run) ?? new Map()).set(model.version, model));
  }
  return new Map(
    [...new Set([...views.keys(), ...models.keys()])].map((run) => {
      const view = views.get(run);
      return [
        run,
        { ...(view && { view }), models: models.get(run) ?? new Map(), steps: steps.get(run) ?? [] },
      ];
    }),
  );
}

function pushTo<T>(lists: Map<string, T[]>, key: string, value: T): void {
  const list = lists.get(key);
  if (list) list.push(value);
  else lists.set(key, [value]);
}

function noModel(run: string, view: RunView | undefined, runs: ReadonlyMap<string, RunModels>): string {
  const names = [...runs].filter(
    ([, { models, view }]) => models.size > 0 && !(view?.config && onlyMeasures(view.config)),
  );
  const known = names.map(([name]) => name);
  const there = `runs with a model: ${known.join(', ') || 'none'}`;
  if (!view) {
    const meant = nearest(run, known);
    return `expected a run of the log, got ${run}${meant ? ` (did you mean ${meant}?)` : ''}; ${there}`;
  }
  const why = hasEnded(view) ? `it ${endedHow(view)}` : `it is ${view.status}: wait for its first`;
  return `run ${run} has published no model, ${why}; ${there}`;
}

const endedHow = ({ status, cause }: RunView): string =>
  `${status === 'cancelled' ? 'was cancelled' : status}${cause ? ` (${cause.message})` : ''}`;

const MOST_LISTED = 20;

/** Versions in words, the newest last. */
function listed(models: readonly PublishedModel[]): string {
  const older = models.length - MOST_LISTED;
  return [
    ...(older > 0 ? [`${older} older ones`] : []),
    ...models.slice(-MOST_LISTED).map(({ version, step }) => `${version} (step ${step})`),
  ].join(', ');
}

export const refused = (message: string, cause?: unknown) =>
  new CliError('CLI_EXPORT_REFUSED', message, cause === undefined ? undefined : { cause });
