/** Finds the models that a configuration names, and reads their configurations and tokenizers, but no weights. */
import { mkdir, readdir, readFile, stat, symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { ArtifactRef } from '@rlhf-streams/events';
import {
  checkpointFiles,
  describeModel,
  loadTokenizer,
  ModelError,
  type ModelFolders,
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
import { modelFolders } from '@rlhf-streams/serving';
import { CoordinatorError } from '../errors.js';
import { type FoundModel, named, takesGold } from './found.js';

/** A folder with the files of a model, or of an adapter, and no others. */
export interface StoredFolder {
  readonly directory: string;
  /** Absent while the folder has not been stored. */
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
/** The file that makes a folder an adapter, as PEFT writes it, where no model lies beside it. */
const ADAPTER_CONFIG = 'adapter_config.json';
const NAMED_IN_ERRORS = 8;

/**
 * @throws CoordinatorError RUN_MODEL_INVALID in the words of the configuration, RUN_SOURCE_UNFIT for a run that has
 *   published nothing; ArtifactError where the store is out of reach.
 */
export async function findModel(dependencies: FindDependencies, model: NamedModel): Promise<Found> {
  const { source } = model;
  if (source.from === 'new') return plannedModel(model, source.shape);
  if (source.from === 'gold')
    return { ...model, kind: 'gold reward', what: `${sourceText(source)} is a gold reward`, isNew: true };
  const place = await placeOf(dependencies, model, source);
  const found = await describeAt(place, model, subjectOf(dependencies, source));
  const version = source.from === 'run' ? dependencies.published.get(runName(source))!.version : undefined;
  return { ...found, ...(version !== undefined && { version }) };
}

/** A model in a folder of this machine, as part of a run. */
export async function describeAt(place: Place, model: NamedModel, subject: Subject): Promise<Found> {
  const { base, adapter } = place;
  if (takesGold(model) && !adapter && (await holdsGoldReward(base.directory)))
    return { ...model, kind: 'gold reward', what: subject('a gold reward'), isNew: false, place };
  try {
    const { config, tokenizer } = await describeModel(foldersOf(place));
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
    const { source } = model;
    const parts = [
      [base, source.from === 'adapter' ? source.base : source],
      [adapter, source.from === 'adapter' ? source.adapter : source],
    ] as const;
    const message = parts.reduce(
      (message, [part, of]) =>
        part
          ? message.replaceAll(`${part.directory}/`, '').replaceAll(part.directory, sourceText(of))
          : message,
      error.message,
    );
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

async function placeOf(dependencies: FindDependencies, model: NamedModel, source: Stored): Promise<Place> {
  const { context, published, signal } = dependencies;
  switch (source.from) {
    case 'run': {
      const ref = published.get(runName(source))?.model;
      if (ref) {
        const { base, adapter } = await modelFolders(ref, (part) =>
          context.artifacts.fetch(part, { signal }),
        );
        return {
          base: { directory: base, ref: ref.base },
          ...(adapter !== undefined && { adapter: { directory: adapter, ref: ref.adapter! } }),
        };
      }
      throw new CoordinatorError(
        'RUN_SOURCE_UNFIT',
        `${named(model)}: expected run ${source.run} to have published a model, got none`,
      );
    }
    case 'adapter': {
      const [adapter, base] = [source.adapter, source.base].map((part, index) =>
        folderOf(dependencies, model, part, index === 0),
      );
      return { adapter: await adapter!, base: await base! };
    }
    default:
      return { base: await folderOf(dependencies, model, source, false) };
  }
}

/** A source that exists before the run. */
type Stored = Exclude<NamedModel['source'], { from: 'new' | 'gold' }>;

async function folderOf(
  { context: { artifacts }, temporary, signal }: FindDependencies,
  model: NamedModel,
  source: Extract<Stored, { from: 'artifact' | 'path' }>,
  isAdapter: boolean,
): Promise<StoredFolder> {
  if (source.from === 'path') {
    const view = join(temporary, isAdapter ? `adapter.${model.name}` : model.name);
    return { directory: await viewOf(resolve(source.path), model, view, isAdapter) };
  }
  const ref = { uri: sourceText(source), sha256: source.sha256 };
  const fetched = artifacts.fetch(ref, { signal }).catch((error: Error & { code?: string }) => {
    if (error.code !== 'ARTIFACT_NOT_FOUND' && error.code !== 'ARTIFACT_BAD_REF') throw error;
    throw new CoordinatorError('RUN_MODEL_INVALID', `${named(model)}: ${error.message}`, { cause: error });
  });
  const directory = await fetched;
  if (!isAdapter) await refuseLoneAdapter(directory, model, sourceText(source));
  return { directory, ref };
}

/** Links to the files of a model in a user's folder, which may hold much else. */
async function viewOf(folder: string, model: NamedModel, view: string, isAdapter: boolean): Promise<string> {
  const invalid = (came: string) =>
    new CoordinatorError(
      'RUN_MODEL_INVALID',
      `${named(model)}: expected ${isAdapter ? ADAPTERS : SOURCES}; ${came}`,
    );
  const found = await stat(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });
  if (!found) throw invalid(`there is no folder ${folder}`);
  if (!found.isDirectory()) {
    const hint = takesGold(model) ? `: a gold reward trained on it is gold:${sourceText(model.source)}` : '';
    throw invalid(`${folder} is a file${hint}`);
  }
  const names = await checkpointFiles(folder);
  if (!isAdapter) await refuseLoneAdapter(folder, model, folder);
  const needed = isAdapter ? ADAPTER_CONFIG : 'config.json';
  const isGold = takesGold(model) && !isAdapter && names.includes(GOLD_FILE);
  if (!names.includes(needed) && !isGold)
    throw invalid(`${folder} has no ${needed}; it holds ${await contentsOf(folder)}`);
  await mkdir(view);
  // A model and an adapter may lie in one folder.
  const others = isAdapter ? /^(config\.json$|model)/ : /^adapter_/;
  for (const name of names.filter((name) => !others.test(name)))
    await symlink(join(folder, name), join(view, name));
  return view;
}

const SOURCES =
  'run:ID, artifact:SHA256, adapter:FOLDER on BASE or a folder in the Hugging Face layout, with config.json, model.safetensors and tokenizer.json';
const ADAPTERS =
  'adapter:FOLDER on BASE, where FOLDER is as PEFT writes it, with adapter_config.json and adapter_model.safetensors';

/** @throws CoordinatorError RUN_MODEL_INVALID for an adapter that is named without the model which it is on. */
async function refuseLoneAdapter(folder: string, model: NamedModel, text: string): Promise<void> {
  const names = await readdir(folder);
  if (!names.includes(ADAPTER_CONFIG) || names.includes('config.json')) return;
  const json = await readFile(join(folder, ADAPTER_CONFIG), 'utf8');
  const [, base] = /"base_model_name_or_path"\s*:\s*("(?:[^"\\]|\\.)+")/.exec(json) ?? [];
  const name: string | undefined = base && JSON.parse(base);
  const whose = name === undefined ? ', which does not say on which model' : ` on ${name}`;
  throw new CoordinatorError(
    'RUN_MODEL_INVALID',
    `${named(model)}: ${text} is an adapter${whose}: name that model too, where it lies here, as a folder or artifact:SHA256: adapter:${text} on ${name ?? 'BASE'}`,
  );
}

async function contentsOf(folder: string): Promise<string> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name)).sort();
  if (names.length === 0) return 'nothing';
  const more = names.length - NAMED_IN_ERRORS;
  return names.slice(0, NAMED_IN_ERRORS).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

const holdsGoldReward = (directory: string): Promise<boolean> =>
  readFile(join(directory, GOLD_FILE)).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
