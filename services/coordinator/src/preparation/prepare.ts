/**
 * From a run's configuration to the contents of `run.started`: waits for the runs that it builds on, opens the models that
 * it names as far as their shapes, and admits them. Only then are data read, and models and items made and stored.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { runEvents } from '@rlhf-streams/archive';
import {
  type ArtifactRef,
  artifactsOf,
  type DataFor,
  type ModelRecord,
  type ModelRef,
  type RunStream,
} from '@rlhf-streams/events';
import { parameterCount } from '@rlhf-streams/model';
import {
  artifactRoles,
  bestModel,
  type DataSpec,
  dataSpecOf,
  datasetNames,
  keepBestOf,
  namedModels,
  newestVersions,
  type PublishedModel,
  publishedModel,
  type RunConfig,
  type RunView,
  replayed,
  runName,
  runsBuiltOn,
  sourceText,
  specOf,
  trainingSteps,
} from '@rlhf-streams/runs';
import type { Declarations } from '@rlhf-streams/scorers';
import type { ServiceContext } from '@rlhf-streams/service';
import { modelFolders } from '@rlhf-streams/serving';
import { admitLengths, admitModels, scorerThatFits } from '../admission/admit.js';
import { admitDeclared } from '../admission/declared.js';
import { describeAt, type Found, findModel, madeFrom } from '../admission/find.js';
import { type Machine, memoryOf } from '../admission/memory.js';
import { foldersOf, type StoredFolder } from '../admission/place.js';
import type { Lengths } from '../admission/rules.js';
import { CoordinatorError } from '../errors.js';
import { readFeedback } from './feedback.js';
import { prepareReplay } from './replay.js';
import { answeredPrompts, completed, recordedComparisons, type SourceDependencies } from './sources.js';
import type { PreparationThread, RunData } from './thread.js';
import type { PreparationThreads } from './threads.js';

export interface Preparation
  extends Pick<
    DataFor<'run.started'>,
    'described' | 'declared' | 'memory' | 'data' | 'datasets' | 'streams'
  > {
  readonly models: Record<string, ModelRef>;
  readonly artifacts: Record<string, ArtifactRef>;
  /** Training steps. */
  readonly steps: number;
  readonly testItems: number;
  /** Where a replay's events begin. */
  readonly from?: Record<string, number[]>;
}

export interface PrepareDependencies extends SourceDependencies {
  readonly context: Pick<ServiceContext, 'artifacts' | 'events' | 'temporary'>;
  readonly threads: PreparationThreads<PreparationThread>;
  readonly machine: () => Machine;
  /** The scorers that the operator declared. */
  readonly declarations: Declarations;
}

/** A model, or gold reward, that is in the artifact store. */
type Stored = Found & {
  readonly place: { readonly base: Required<StoredFolder>; readonly adapter?: Required<StoredFolder> };
};

/** @throws CoordinatorError when a source is unknown, failed or does not fit; errors of reading data. */
export async function prepare(
  dependencies: PrepareDependencies,
  config: RunConfig,
  signal: AbortSignal,
): Promise<Preparation> {
  const { context, threads, machine } = dependencies;
  const replay = replayed(config);
  if (replay !== undefined) return prepareReplay(dependencies, config, replay, signal);

  const declared = admitDeclared(config, dependencies.declarations);
  // All waits come before the first put: until `run.started` names an artifact, only its age keeps it from collection.
  await completed(dependencies, config, signal);
  return context.temporary.use(async (temporary) => {
    const found = await findModels(dependencies, config, temporary, signal);
    admitModels(config, found, machine());
    const spec = specOf(config);
    const datasets: { readonly name: string | undefined; readonly data: RunData }[] = [];
    for (const name of datasetNames(spec))
      datasets.push({ name, data: await resolveData(dependencies, dataSpecOf(spec, name), signal) });

    const prepared = await threads.use(signal, async (thread) => {
      const models: Stored[] = [];
      for (const model of found)
        models.push(await stored(dependencies, thread, config, model, temporary, signal));
      // New models have tokenizers from here on, so that the rules about tokens apply to them.
      if (found.some(({ isNew }) => isNew)) admitModels(config, models, machine());

      const made: Made[] = [];
      for (const { name, data } of datasets) {
        const out = join(temporary, artifactRoles.itemsOf(name));
        await mkdir(out);
        const of = { config, dataset: name };
        made.push({ name, out, ...(await thread.makeItems(of, data, readersOf(models), out)) });
      }
      const lengths = lengthsOf(made);
      admitLengths(config, models, lengths, machine());
      const items: Record<string, ArtifactRef> = {};
      for (const { name, out } of made)
        items[artifactRoles.itemsOf(name)] = await context.artifacts.putDirectory(out, { signal });
      return { models, items, lengths, made };
    });

    const { models, items, made, lengths } = prepared;
    const streams = streamsOf(config, made);
    const roles = byRole(config, models);
    const [main, ...further] = made;
    return {
      ...usedBy(roles, items),
      described: describe(roles),
      ...(declared && { declared }),
      memory: memoryOf(config, models, lengths, machine()),
      // Epochs count the first stream, whose items steps learn from.
      steps: trainingSteps(config, streams[0]!.items),
      streams,
      testItems: streams.find(({ stream }) => stream === 'evaluation')?.items ?? 0,
      data: main!.data,
      ...(further.length > 0 && {
        datasets: Object.fromEntries(further.map(({ name, data }) => [name!, data])),
      }),
    };
  });
}

/** A dataset as items, in a folder. */
interface Made extends Awaited<ReturnType<PreparationThread['makeItems']>> {
  /** The main dataset has none. */
  readonly name: string | undefined;
  readonly out: string;
}

/** The lengths of all datasets together: prompts are in the main one alone. */
const lengthsOf = (made: readonly Made[]): Lengths => ({
  longest: Math.max(...made.map(({ lengths }) => lengths.longest)),
  mostSequences: Math.max(...made.map(({ lengths }) => lengths.mostSequences)),
  shortestPrompt: made[0]!.lengths.shortestPrompt,
});

/** The streams that the steps of a run draw from; one without any item is left out. */
const streamsOf = (config: RunConfig, made: readonly Made[]): RunStream[] => {
  const spec = specOf(config);
  return spec.streams
    .map(({ name, dataset, split }) => ({
      stream: name,
      kind: dataSpecOf(spec, dataset).kind,
      ...(dataset !== undefined && { dataset }),
      split,
      items: made.find((each) => each.name === dataset)!.counts[split],
    }))
    .filter(({ items }) => items > 0);
};

/** The models in the order of `namedModels`, the run's own first. */
async function findModels(
  { context, runs }: PrepareDependencies,
  config: RunConfig,
  temporary: string,
  signal: AbortSignal,
): Promise<Found[]> {
  const newest = await newestVersions(context.events.readAll(['policy-versions'], { signal }));
  const published = new Map<string, PublishedModel>(newest);
  for (const run of runsBuiltOn(config)) {
    const view = runs.state.get(run);
    const best = view && keepBestOf(view.config) && (await bestOf(context, view, signal));
    if (best) published.set(run, best);
  }
  const models = namedModels(config);
  for (const { source } of models)
    if (source.from === 'run' && source.version !== undefined)
      published.set(
        runName(source),
        await versionOf(context, runs.state.get(source.run)!, source.version, signal),
      );
  const dependencies = { context, runs: runs.state, published, temporary, signal };
  const found: Found[] = [];
  for (const model of models) found.push(await findModel(dependencies, model));
  return found;
}

const MOST_LISTED = 20;

/**
 * A version that a run published. Steps tell of all, also where `policy-versions` was compacted.
 * @throws CoordinatorError RUN_SOURCE_UNFIT, naming the versions that there are.
 */
async function versionOf(
  context: Pick<ServiceContext, 'events' | 'artifacts'>,
  view: RunView,
  version: number,
  signal: AbortSignal,
): Promise<PublishedModel> {
  const versions = new Map<number, PublishedModel>();
  for await (const event of runEvents(context, view, ['policy-versions', 'training-metrics'], { signal })) {
    const model = publishedModel(event);
    if (model) versions.set(model.version, model);
  }
  const isStored = async ({ model }: PublishedModel) => {
    const stored = artifactsOf(model).map((artifact) => context.artifacts.has(artifact));
    return (await Promise.all(stored)).every(Boolean);
  };
  const found = versions.get(version);
  if (found && (await isStored(found))) return found;
  const known = [...versions.keys()].sort((a, b) => a - b);
  const why = found ? 'which was removed when artifacts were collected' : 'which it did not publish';
  throw new CoordinatorError(
    'RUN_SOURCE_UNFIT',
    `expected run ${view.run} to have version ${version}, ${why}; it published ${known.slice(-MOST_LISTED).join(', ') || 'none'}: checkpointEvery says how often`,
  );
}

/** The version that a run calls its best. */
async function bestOf(
  { events }: Pick<ServiceContext, 'events'>,
  view: RunView,
  signal: AbortSignal,
): Promise<PublishedModel | undefined> {
  const steps: DataFor<'step.completed'>[] = [];
  for await (const { data } of events.readAll(['training-metrics'], { from: view.from, signal }))
    if (data.run === view.run) steps.push(data);
  return bestModel(view, steps);
}

/** Makes a new model or gold reward, and stores what is not stored yet. */
async function stored(
  { context: { artifacts } }: PrepareDependencies,
  thread: PreparationThread,
  config: RunConfig,
  model: Found,
  temporary: string,
  signal: AbortSignal,
): Promise<Stored> {
  const { source, name, place } = model;
  const put = async ({ directory, ref }: StoredFolder): Promise<Required<StoredFolder>> => {
    if (ref) return { directory, ref };
    const artifact = await artifacts.putDirectory(directory, { signal });
    return { directory: await artifacts.fetch(artifact, { signal }), ref: artifact };
  };
  if (place) {
    const base = await put(place.base);
    return { ...model, place: { base, ...(place.adapter && { adapter: await put(place.adapter) }) } };
  }
  const out = join(temporary, name);
  if (source.from === 'new')
    await thread.makeModel(source.shape, specOf(config).data.source, config.seed, out);
  else if (source.from === 'gold') await thread.makeGoldReward(source.data, out);
  const base = await put({ directory: out });
  return { ...(await describeAt({ base }, model, madeFrom)), place: { base } };
}

function readersOf(models: readonly Stored[]) {
  const scorers = models.filter(({ kind, role }) => role.name === 'scorer' && kind === 'reward model');
  return {
    model: foldersOf(models[0]!.place),
    scorers: Object.fromEntries(scorers.map(({ name, place }) => [name, foldersOf(place)])),
  };
}

/** The models of a run by role: those that it names, and those that stand in for roles that it leaves out. */
function byRole(config: RunConfig, models: readonly Stored[]): Record<string, Stored> {
  const roles = Object.fromEntries(models.map((model) => [model.name, model]));
  for (const { name, otherwise } of specOf(config).models) {
    if (otherwise === undefined || roles[name]) continue;
    // Without a scorer that fits, training starts the role from the policy, which is listed already.
    const stands = otherwise === 'the policy' ? models[0] : scorerThatFits(models);
    if (stands) roles[name] = stands;
  }
  return roles;
}

/** Models and other artifacts apart, as `run.started` lists them. */
function usedBy(roles: Readonly<Record<string, Stored>>, items: Readonly<Record<string, ArtifactRef>>) {
  const models: Record<string, ModelRef> = {};
  const artifacts: Record<string, ArtifactRef> = { ...items };
  for (const [role, { kind, place }] of Object.entries(roles))
    if (kind === 'gold reward') artifacts[role] = place.base.ref;
    else models[role] = { base: place.base.ref, ...(place.adapter && { adapter: place.adapter.ref }) };
  return { models, artifacts };
}

const describe = (roles: Readonly<Record<string, Stored>>): Record<string, ModelRecord> =>
  Object.fromEntries(
    Object.entries(roles).map(([role, { source, kind, shape, version }]) => [
      role,
      {
        source: sourceText(source),
        ...(version !== undefined && { version }),
        // Admission lets no other kind pass.
        kind: kind as ModelRecord['kind'],
        ...(shape && {
          parameters: parameterCount(shape),
          contextLength: shape.contextLength,
          vocabSize: shape.vocabSize,
        }),
      },
    ]),
  );

/** Reads what a source of data holds when the run starts; files are left to the thread. */
async function resolveData(
  dependencies: PrepareDependencies,
  { source, kind }: DataSpec,
  signal: AbortSignal,
): Promise<RunData> {
  const { context } = dependencies;
  switch (source.from) {
    case 'feedback':
      return { feedback: await readFeedback(context, source.collection, signal) };
    case 'run': {
      if (kind === 'prompts') return { answered: await answeredPrompts(dependencies, source.run, signal) };
      const { recorded, policy } = await recordedComparisons(dependencies, source.run, signal);
      const fetch = (artifact: ArtifactRef) => context.artifacts.fetch(artifact, { signal });
      return { recorded, policy: await modelFolders(policy, fetch) };
    }
    default:
      return { source };
  }
}
