/** Finds the models that a configuration names, and reads their configurations and tokenizers, but no weights. */
import { mkdir, readFile, stat, symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { ModelRef } from '@rlhf-streams/events';
import {
  checkpointFiles,
  describeCheckpoint,
  loadTokenizer,
  ModelError,
  modelKind,
  newModelConfig,
} from '@rlhf-streams/model';
import {
  type NamedModel,
  type NewModel,
  onlyMeasures,
  type PublishedModel,
  type RunView,
  runName,
  type Source,
  sourceText,
} from '@rlhf-streams/runs';
import type { ServiceContext } from '@rlhf-streams/service';
import { wholeModel } from '@rlhf-streams/serving';
import { CoordinatorError } from '../errors.js';
import { type FoundModel, named, takesGold } from './found.js';

/** Where a model lies. A new model and a gold reward have no place until they are made. */
export interface Place {
  /** Holds the files of the model and no others. */
  readonly directory: string;
  /** Absent while the folder has not been stored. */
  readonly ref?: ModelRef;
}

/** A model of a run has a version. */
export type Found = FoundModel & { readonly place?: Place; readonly version?: number };

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

/** The file that makes a folder a gold reward. */
const GOLD_FILE = 'gold-reward.json';

/**
 * @throws CoordinatorError RUN_MODEL_INVALID in the words of the configuration, RUN_SOURCE_UNFIT for a run that has
 *   published nothing; ArtifactError where the store is out of reach.
 */
export async function findModel(dependencies: FindDependencies, model: NamedModel): Promise<Found> {
  const { source } = model;
  if (source.from === 'new') return plannedModel(model, source.shape);
  if (source.from === 'gold')
    return { ...model, kind: 'gold reward', what: `${sourceText(source)} is a gold reward`, isNew: true };
  const subject = subjectOf(dependencies, source);
  if (source.from === 'path') return findAtPath(dependencies, model, source.path, subject);
  const found = await describeAt(await placeOf(dependencies, model, source), model, subject);
  const version = source.from === 'run' ? dependencies.published.get(runName(source))!.version : undefined;
  return { ...found, ...(version !== undefined && { version }) };
}

/** A model in a user's folder, of which it has what belongs to the model. */
async function findAtPath(
  { temporary }: FindDependencies,
  model: NamedModel,
  path: string,
  subject: Subject,
): Promise<Found> {
  const folder = resolve(path);
  await checkFolder(folder, model);
  const found = await describeAt({ directory: folder }, model, subject);
  return { ...found, place: { directory: await viewOf(folder, join(temporary, model.name)) } };
}

/** A model in a folder of this machine, as part of a run. */
export async function describeAt(place: Place, model: NamedModel, subject: Subject): Promise<Found> {
  const { directory } = place;
  if (takesGold(model) && (await holdsGoldReward(directory)))
    return { ...model, kind: 'gold reward', what: subject('a gold reward'), isNew: false, place };
  try {
    const { config, tokenizer } = await describeCheckpoint(directory);
    const kind = modelKind(config);
    const loaded = tokenizer && loadTokenizer(tokenizer.json, tokenizer.config);
    return {
      ...model,
      kind,
      what: subject(
        config.head.kind === 'scalar' && config.head.labels > 1
          ? `a classifier of ${config.head.labels} labels`
          : kind,
      ),
      shape: config,
      ...(loaded && { tokenizer: { ...tokenizer!, vocabSize: loaded.vocabSize } }),
      isNew: false,
      place,
    };
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    const text = sourceText(model.source);
    const message = error.message.replaceAll(`${directory}/`, '').replaceAll(directory, text);
    throw new CoordinatorError('RUN_MODEL_INVALID', `${named(model)}: ${message}`, { cause: error });
  }
}

/** Makes a sentence of what was found: `run rm trained a reward model`. */
type Subject = (kind: string) => string;

const withArticle = (kind: string): string => (kind.startsWith('a ') ? kind : `a ${kind}`);

function subjectOf({ runs }: FindDependencies, source: Source): Subject {
  if (source.from !== 'run') return (kind) => `it holds ${withArticle(kind)}`;
  const { run } = source;
  const config = runs.get(run)?.config;
  const does = config && onlyMeasures(config) ? 'measured' : 'trained';
  return (kind) => `run ${run} ${does} ${kind === 'language model' ? 'a policy' : withArticle(kind)}`;
}

export const madeFrom: Subject = (kind) => `it is ${withArticle(kind)}`;

/** The vocabulary of the trained tokenizer may turn out smaller than was asked for, never larger. */
function plannedModel(model: NamedModel, planned: NewModel): Found {
  const shape = newModelConfig(planned);
  return { ...model, kind: 'language model', what: madeFrom('language model'), shape, isNew: true };
}

async function placeOf(
  { context, published, signal }: FindDependencies,
  model: NamedModel,
  source: Stored,
): Promise<Place> {
  const { artifacts } = context;
  switch (source.from) {
    case 'run': {
      const ref = published.get(runName(source))?.model;
      if (ref) return { directory: await artifacts.fetch(wholeModel(ref), { signal }), ref };
      throw new CoordinatorError(
        'RUN_SOURCE_UNFIT',
        `${named(model)}: expected run ${source.run} to have published a model, got none`,
      );
    }
    case 'artifact': {
      const artifact = { uri: sourceText(source), sha256: source.sha256 };
      const fetched = artifacts.fetch(artifact, { signal }).catch((error: Error & { code?: string }) => {
        if (error.code !== 'ARTIFACT_NOT_FOUND' && error.code !== 'ARTIFACT_BAD_REF') throw error;
        throw new CoordinatorError('RUN_MODEL_INVALID', `${named(model)}: ${error.message}`, {
          cause: error,
        });
      });
      return { directory: await fetched, ref: { base: artifact } };
    }
  }
}

/** A source that is in the store of artifacts. */
type Stored = Extract<NamedModel['source'], { from: 'run' | 'artifact' }>;

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

/** Links to the files of a model in a user's folder, which may hold much else. */
async function viewOf(folder: string, view: string): Promise<string> {
  await mkdir(view);
  for (const name of await checkpointFiles(folder)) await symlink(join(folder, name), join(view, name));
  return view;
}

const SOURCES =
  'run:ID, artifact:SHA256 or a folder in the Hugging Face layout, with config.json, model.safetensors and tokenizer.json';

const holdsGoldReward = (directory: string): Promise<boolean> =>
  readFile(join(directory, GOLD_FILE)).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
