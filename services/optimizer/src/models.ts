/** The models of a run as folders: those that it starts from, and those that it publishes. */
import { resolve } from 'node:path';
import type { ArtifactRef, ModelRef } from '@rlhf-streams/events';
import {
  artifactRoles,
  namedModels,
  type RunConfig,
  type RunView,
  specOf,
  trainsWhole,
} from '@rlhf-streams/runs';
import type { ServiceContext } from '@rlhf-streams/service';
import { modelFolders } from '@rlhf-streams/serving';
import type { StartingModels } from '@rlhf-streams/training';

/** Fetches what a run starts from, by the roles of its models. */
export async function startingModels(
  { artifacts }: Pick<ServiceContext, 'artifacts'>,
  { config, models }: Pick<RunView, 'config' | 'models'>,
): Promise<StartingModels> {
  const fetched = async (model: ModelRef) => ({
    ...(await modelFolders(model, (artifact) => artifacts.fetch(artifact))),
    hash: model.base.sha256,
  });
  const policy = models![artifactRoles.policy]!;
  const others: Record<string, Awaited<ReturnType<typeof fetched>>> = {};
  for (const { from } of specOf(config!).trains)
    if (from !== artifactRoles.policy && models![from]) others[from] = await fetched(models![from]);
  return { ...others, policy: { ...(await fetched(policy)), name: baseName(config!, policy) } };
}

/** What people know the base of a run's adapters by: the folder that the run was given, else the artifact. */
function baseName(config: RunConfig, { base }: ModelRef): string {
  const source = namedModels(config).find(({ name }) => name === artifactRoles.policy)?.source;
  return source?.from === 'path' ? source.path : base.uri;
}

/** The model of a version: what was stored of it, which of a run with `peft` is an adapter on the base that it started from. */
export const versionOf = (
  { config, models }: Pick<RunView, 'config' | 'models'>,
  stored: ArtifactRef,
): ModelRef =>
  trainsWhole(config!) ? { base: stored } : { base: models![artifactRoles.policy]!.base, adapter: stored };

/** Lets `write` fill a folder that does not exist yet, and stores it. */
export const store = (
  { artifacts, temporary }: Pick<ServiceContext, 'artifacts' | 'temporary'>,
  write: (directory: string) => Promise<void>,
): Promise<ArtifactRef> =>
  temporary.use(async (folder) => {
    const directory = resolve(folder, 'artifact');
    await write(directory);
    return artifacts.putDirectory(directory);
  });
