/** From a run's configuration to what `run.started` says: every name resolved to an artifact. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ArtifactRef } from '@rlhf-streams/events';
import {
  artifactRoles,
  type ModelSource,
  type RunConfig,
  scorersOf,
  workOf,
} from '@rlhf-streams/training/config';
import { recordedComparisons, type SourceDependencies, storedModel } from './sources.js';
import type { PreparationThread } from './thread.js';

export interface Preparation {
  readonly artifacts: Record<string, ArtifactRef>;
  readonly testItems: number;
}

export interface PrepareDependencies extends SourceDependencies {
  readonly thread: PreparationThread;
}

/** @throws CoordinatorError when a source is unknown, failed or does not fit; errors of reading data and models. */
export async function prepare(
  dependencies: PrepareDependencies,
  config: RunConfig,
  signal: AbortSignal,
): Promise<Preparation> {
  const { context, thread } = dependencies;
  const folders = await mkdtemp(join(tmpdir(), 'rlhf-streams-'));
  try {
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
    const source = dataOf(config);
    const data = source.startsWith('run:') ? await recordedComparisons(dependencies, source, signal) : source;
    let heldOut = 0;
    artifacts[artifactRoles.items] = await make('items', async (out) => {
      await mkdir(out);
      ({ test: heldOut } = await thread.makeItems(config, data, directory, out));
    });
    // Prompts held out are for sampling runs that ask for them: there is nothing to evaluate on them at the end.
    return { artifacts, testItems: workOf(config).issues === 'prompts' ? 0 : heldOut };
  } finally {
    await rm(folders, { recursive: true, force: true });
  }
}

const dataOf = (config: RunConfig): string => ('data' in config ? config.data : config.prompts);
