/** Where the models lie that a configuration names: in the store of artifacts, or in users' folders. */
import { mkdir, readdir, readFile, stat, symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { ArtifactRef } from '@rlhf-streams/events';
import { checkpointFiles, type ModelFolders } from '@rlhf-streams/model';
import { type NamedModel, type PublishedModel, type RunView, runName, sourceText } from '@rlhf-streams/runs';
import type { ServiceContext } from '@rlhf-streams/service';
import { modelFolders } from '@rlhf-streams/serving';
import { CoordinatorError } from '../errors.js';
import { named, takesGold } from './found.js';

export interface FindDependencies {
  readonly context: Pick<ServiceContext, 'artifacts'>;
  readonly runs: ReadonlyMap<string, RunView>;
  /**
   * The models that runs published, as sources name them (`my-ppo@40`): of a run without a version the best, where it names one
   * so, and else the newest.
   */
  readonly published: ReadonlyMap<string, Pick<PublishedModel, 'model' | 'version'>>;
  /** Folder for links to files in users' folders; the caller removes it. */
  readonly temporary: string;
  readonly signal: AbortSignal;
}

/** A folder that holds a model, or an adapter. */
export interface StoredFolder {
  readonly directory: string;
  /** Absent while it has not been stored. */
  readonly ref?: ArtifactRef;
}

/** Where a model lies. A new model and a gold reward have no place until they are made. */
export interface Place {
  readonly base: StoredFolder;
  readonly adapter?: StoredFolder;
}

export const foldersOf = ({ base, adapter }: Place): ModelFolders => ({
  base: base.directory,
  ...(adapter && { adapter: adapter.directory }),
});

/** A source that exists before the run. */
type Existing = Exclude<NamedModel['source'], { from: 'new' | 'gold' }>;

/**
 * @throws CoordinatorError RUN_MODEL_INVALID in the words of the configuration, RUN_SOURCE_UNFIT for a run that has
 *   published nothing; ArtifactError where the store is out of reach.
 */
export async function placeOf(
  dependencies: FindDependencies,
  model: NamedModel,
  source: Existing,
): Promise<Place> {
  const { context, published, signal } = dependencies;
  if (source.from === 'adapter') {
    const adapter = await folderOf(dependencies, model, source.adapter);
    const base = await folderOf(dependencies, model, source.base);
    await refuseLoneAdapter(base, model, sourceText(source.base));
    return { adapter, base };
  }
  if (source.from !== 'run') {
    const base = await folderOf(dependencies, model, source);
    await refuseLoneAdapter(base, model, sourceText(source));
    return { base };
  }
  const ref = published.get(runName(source))?.model;
  if (!ref) {
    throw new CoordinatorError(
      'RUN_SOURCE_UNFIT',
      `${named(model)}: expected run ${source.run} to have published a model, got none`,
    );
  }
  const folders = await modelFolders(ref, (part) => context.artifacts.fetch(part, { signal }));
  return {
    base: { directory: folders.base, ref: ref.base },
    ...(ref.adapter && { adapter: { directory: folders.adapter!, ref: ref.adapter } }),
  };
}

async function folderOf(
  { context: { artifacts }, signal }: FindDependencies,
  model: NamedModel,
  source: Extract<Existing, { from: 'artifact' | 'path' }>,
): Promise<StoredFolder> {
  if (source.from === 'path') {
    const directory = resolve(source.path);
    await checkFolder(directory, model);
    return { directory };
  }
  const ref = { uri: sourceText(source), sha256: source.sha256 };
  const fetched = artifacts.fetch(ref, { signal }).catch((error: Error & { code?: string }) => {
    if (error.code !== 'ARTIFACT_NOT_FOUND' && error.code !== 'ARTIFACT_BAD_REF') throw error;
    throw new CoordinatorError('RUN_MODEL_INVALID', `${named(model)}: ${error.message}`, { cause: error });
  });
  return { directory: await fetched, ref };
}

/** @throws CoordinatorError RUN_MODEL_INVALID where there is no such folder */
async function checkFolder(folder: string, model: NamedModel): Promise<void> {
  const invalid = (came: string) =>
    new CoordinatorError('RUN_MODEL_INVALID', `${named(model)}: expected ${SOURCES}; ${came}`);
  const found = await stat(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });
  if (!found) throw invalid(`there is no folder ${folder}`);
  if (found.isDirectory()) return;
  const hint = takesGold(model) ? `: a gold reward trained on it is gold:${sourceText(model.source)}` : '';
  throw invalid(`${folder} is a file${hint}`);
}

const SOURCES =
  'run:ID, artifact:SHA256, adapter:FOLDER on BASE or a folder in the Hugging Face layout, with config.json, model.safetensors and tokenizer.json';

/** The file that makes a folder an adapter, as PEFT writes it, where no model lies beside it. */
const ADAPTER_CONFIG = 'adapter_config.json';

/** @throws CoordinatorError RUN_MODEL_INVALID for an adapter that is named without the model which it is on. */
async function refuseLoneAdapter(
  { directory }: StoredFolder,
  model: NamedModel,
  text: string,
): Promise<void> {
  const names = await readdir(directory);
  if (!names.includes(ADAPTER_CONFIG) || names.includes('config.json')) return;
  const json = await readFile(join(directory, ADAPTER_CONFIG), 'utf8');
  const [, base] = /"base_model_name_or_path"\s*:\s*("(?:[^"\\]|\\.)+")/.exec(json) ?? [];
  const name: string | undefined = base && JSON.parse(base);
  const whose = name === undefined ? ', which does not say on which model' : ` on ${name}`;
  throw new CoordinatorError(
    'RUN_MODEL_INVALID',
    `${named(model)}: ${text} is an adapter${whose}: name that model too, where it lies here, as a folder or artifact:SHA256: adapter:${text} on ${name ?? 'BASE'}`,
  );
}

/**
 * The place with links to the files that belong to the model or the adapter, where it lies in users' folders, which may hold
 * much else.
 * @param view where the links are put
 */
export async function viewsOf({ base, adapter }: Place, view: string): Promise<Place> {
  return {
    // A model and an adapter may lie in one folder.
    base: await viewOf(base, view, (name) => !name.startsWith('adapter_')),
    ...(adapter && {
      adapter: await viewOf(adapter, `${view}.adapter`, (name) => !/^(config\.json$|model)/.test(name)),
    }),
  };
}

async function viewOf(
  folder: StoredFolder,
  view: string,
  isOwn: (name: string) => boolean,
): Promise<StoredFolder> {
  if (folder.ref) return folder;
  await mkdir(view);
  for (const name of (await checkpointFiles(folder.directory)).filter(isOwn))
    await symlink(join(folder.directory, name), join(view, name));
  return { directory: view };
}
