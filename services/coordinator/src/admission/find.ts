/** Finds the models that a configuration names, and reads their configurations and tokenizers, but no weights. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describeModel, loadTokenizer, ModelError, modelKind, newModelConfig } from '@rlhf-streams/model';
import {
  type NamedModel,
  type NewModel,
  onlyMeasures,
  runName,
  type Source,
  sourceText,
} from '@rlhf-streams/runs';
import { CoordinatorError } from '../errors.js';
import { type FoundModel, named, takesGold } from './found.js';
import { type FindDependencies, foldersOf, type Place, placeOf, viewsOf } from './place.js';

/** A model of a run has a version. */
export type Found = FoundModel & { readonly place?: Place; readonly version?: number };

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
  const place = await placeOf(dependencies, model, source);
  const found = await describeAt(place, model, subjectOf(dependencies, source));
  const version = source.from === 'run' ? dependencies.published.get(runName(source))!.version : undefined;
  return {
    ...found,
    place: await viewsOf(place, join(dependencies.temporary, model.name)),
    ...(version !== undefined && { version }),
  };
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
      base: base.ref?.sha256 ?? base.directory,
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

const holdsGoldReward = (directory: string): Promise<boolean> =>
  readFile(join(directory, GOLD_FILE)).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
