/** Prepares a replay: it takes the models and artifacts of the run that it replays, and where that run's events begin. */
import { isDeepStrictEqual } from 'node:util';
import type { ArtifactRef, ModelRef } from '@rlhf-streams/events';
import {
  namedModels,
  type ReplayExtent,
  type RunConfig,
  replayExtent,
  replayed,
  specOf,
  stepsCompleted,
} from '@rlhf-streams/runs';
import { admitPeft } from '../admission/admit.js';
import { describeAt, type Found, madeFrom } from '../admission/find.js';
import { peftOf } from '../admission/memory.js';
import { CoordinatorError } from '../errors.js';
import { ended, type SourceDependencies } from './sources.js';

/** A replay has the models and artifacts of the run that it replays, and reads the topics from where that run did. */
export interface ReplayPreparation extends ReplayExtent {
  readonly models: Record<string, ModelRef>;
  readonly artifacts: Record<string, ArtifactRef>;
  readonly from: Record<string, number[]>;
}

/**
 * @throws CoordinatorError, or RunError TRAINING_REPLAY_UNFIT, when the run it names cannot be replayed so: RUN_MODEL_UNFIT where
 *   its models do not take another `peft`.
 */
export async function prepareReplay(
  dependencies: SourceDependencies,
  config: RunConfig,
  source: string,
  signal: AbortSignal,
): Promise<ReplayPreparation> {
  if (source === config.run) throw unfit(`expected run ${source} to replay another run, not itself`);
  const view = await ended(dependencies, source, await dependencies.runs.newest(signal), signal);
  const original = view.config && replayed(view.config);
  if (original !== undefined) {
    throw unfit(`expected a run with events of its own, got ${source}, a replay: name ${original} instead`);
  }
  if (!view.config || !view.models) {
    const why = view.cause?.message ?? 'no cause given';
    throw unfit(`expected a run that was started; ${source} never was, it is ${view.status}: ${why}`);
  }
  // Read from the log itself, as a projection may lag behind it.
  const metrics = dependencies.context.events.readAll(['training-metrics'], { from: view.from, signal });
  const completed = await stepsCompleted(metrics, source);
  const { steps, streams, testItems } = view;
  const extent = replayExtent(config, {
    config: view.config,
    steps,
    streams,
    testItems,
    completed,
  });
  if (!isDeepStrictEqual(peftOf(config), peftOf(view.config)))
    admitPeft(config, await startingModels(dependencies, view.config, view.models, signal));
  const topics = ['steps' as const, ...specOf(config).joins];
  const from = Object.fromEntries(topics.map((topic) => [topic, [...(view.from[topic] ?? [])]]));
  return { ...extent, models: { ...view.models }, artifacts: { ...view.artifacts }, from };
}

/** The models that a run names, as it started from them, its own first; gold rewards, which are not trained, are left out. */
async function startingModels(
  { context: { artifacts } }: SourceDependencies,
  config: RunConfig,
  models: Readonly<Record<string, ModelRef>>,
  signal: AbortSignal,
): Promise<Found[]> {
  const fetched = async (ref: ArtifactRef) => ({ directory: await artifacts.fetch(ref, { signal }), ref });
  const found: Found[] = [];
  for (const named of namedModels(config)) {
    const model = models[named.name];
    if (!model) continue;
    const { base, adapter } = model;
    const place = { base: await fetched(base), ...(adapter && { adapter: await fetched(adapter) }) };
    found.push(await describeAt(place, named, madeFrom));
  }
  return found;
}

const unfit = (message: string) => new CoordinatorError('RUN_SOURCE_UNFIT', message);
