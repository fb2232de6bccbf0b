/** From a run's configuration to what `run.started` says: every name resolved to an artifact. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ArtifactRef, DataAccount } from '@rlhf-streams/events';
import type { ServiceContext } from '@rlhf-streams/runtime';
import {
  artifactRoles,
  type ModelSource,
  type RunConfig,
  replayed,
  scorersOf,
  workOf,
} from '@rlhf-streams/training/config';
import { collectionOf, readFeedback } from './feedback.js';
import { prepareReplay } from './replay.js';
import { completed, recordedComparisons, type SourceDependencies, storedModel } from './sources.js';
import type { PreparationThread, RunData } from './thread.js';

export interface Preparation {
  readonly artifacts: Record<string, ArtifactRef>;
  /** Training steps. */
  readonly steps: number;
  readonly testItems: number;
  /** What became of the rows of its data; of a replay nothing. */
  readonly data?: DataAccount;
  /** Where the run's events begin, if they were there before it. */
  readonly from?: Record<string, number[]>;
}

export interface PrepareDependencies extends SourceDependencies {
  readonly context: Pick<ServiceContext, 'artifacts' | 'events' | 'temporary'>;
  readonly thread: PreparationThread;
}

/** @throws CoordinatorError when a source is unknown, failed or does not fit; errors of reading data and models. */
export async function prepare(
  dependencies: PrepareDependencies,
  config: RunConfig,
  signal: AbortSignal,
): Promise<Preparation> {
  const { context, thread } = dependencies;
  const replay = replayed(config);
  if (replay !== undefined) return prepareReplay(dependencies, config, replay, signal);

  // All waits come before the first put: until the run is started, nothing on the log names what is put.
  await Promise.all(sourceRuns(config).map((run) => completed(dependencies.runs, run, signal)));
  const data = await resolveData(dependencies, dataOf(config), signal);
  return context.temporary.use(async (folders) => {
    const make = async (name: string, fill: (directory: string) => Promise<void>): Promise<ArtifactRef> => {
      const directory = join(folders, name);
      await fill(directory);
      return context.artifacts.putDirectory(directory);
    };
    const model = (name: string, source: ModelSource): Promise<ArtifactRef> =>
      typeof source === 'string'
        ? storedModel(dependencies, source, signal)
        : make(name, (out) => thread.makeModel(source, dataOf(config), config.seed, out));

    const artifacts: Record<string, ArtifactRef> = {};
    const policy = await model('policy', config.model);
    artifacts[artifactRoles.policy] = policy;

    for (const [index, source] of scorersOf(config).entries()) {
      artifacts[artifactRoles.scorer(index)] = source.startsWith('gold:')
        ? await make(`scorer-${index}`, async (out) => {
            await mkdir(out);
            await thread.makeGoldReward(source.slice('gold:'.length), out);
          })
        : await storedModel(dependencies, source, signal);
    }
    if (workOf(config).joins.includes('reference-logprobs')) {
      const { reference } = config as { reference?: ModelSource };
      artifacts[artifactRoles.reference] =
        reference === undefined ? policy : await model('reference', reference);
    }
    if (config.method === 'ppo') {
      if (config.value !== undefined) artifacts[artifactRoles.value] = await model('value', config.value);
      else if (!config.scorers[0]!.startsWith('gold:')) {
        artifacts[artifactRoles.value] = artifacts[artifactRoles.scorer(0)]!;
      }
    }

    const directory = await context.artifacts.fetch(policy);
    let made: { test: number; data: DataAccount } | undefined;
    artifacts[artifactRoles.items] = await make('items', async (out) => {
      await mkdir(out);
      made = await thread.makeItems(config, data, directory, out);
    });
    // Prompts held out are for sampling runs that ask for them: there is nothing to evaluate on them at the end.
    const testItems = workOf(config).issues === 'prompts' ? 0 : made!.test;
    return { artifacts, steps: config.steps, testItems, data: made!.data };
  });
}

/** Data as they stand when the run starts. */
async function resolveData(
  dependencies: PrepareDependencies,
  source: string,
  signal: AbortSignal,
): Promise<RunData> {
  const collection = collectionOf(source);
  if (collection !== undefined)
    return { feedback: await readFeedback(dependencies.context, collection, signal) };
  if (source.startsWith('run:')) return { recorded: await recordedComparisons(dependencies, source, signal) };
  return { source };
}

/** Runs that a run builds on. */
function sourceRuns(config: RunConfig): string[] {
  const { model, reference, value } = config as { [Name in 'model' | 'reference' | 'value']?: ModelSource };
  const sources = [model, reference, value, ...scorersOf(config), dataOf(config)];
  return sources.flatMap((source) =>
    typeof source === 'string' && source.startsWith('run:') ? [source.slice('run:'.length)] : [],
  );
}

const dataOf = (config: RunConfig): string => ('data' in config ? config.data : config.prompts);
