/** How a configuration writes where models, data and scorers come from. */
import { CollectionName, RunId, SCORER_NAME_IN_WORDS, ScorerName } from '@rlhf-streams/events';
import { z } from 'zod';
import { NewModel } from './new-model.js';
import { named } from './settings.js';
import { parseSource, pathsOf, type SourceKind } from './sources.js';

/** Every schema of a source is registered with its kind, so that sources are found wherever a configuration has them. */
export const sourceKinds = z.registry<{ readonly kind: SourceKind }>();

/** Whether the id is valid where a source names a run. */
const namesRun = (written: string | NewModel): boolean => {
  const source = parseSource('model', written);
  return source.from !== 'run' || RunId.safeParse(source.run).success;
};
const namesCollection = (written: string): boolean => {
  const source = parseSource('data', written);
  return source.from !== 'feedback' || CollectionName.safeParse(source.collection).success;
};
/** Small sets of questions and paired sentences that evaluations come with (`libs/evaluation/assets/sets`). */
const BUNDLED_SETS = ['everyday', 'misconceptions', 'pairs'] as const;
const namesSet = (written: string): boolean => {
  const source = parseSource('data', written);
  return (
    source.from !== 'bundled' || source.set === undefined || BUNDLED_SETS.some((set) => set === source.set)
  );
};
/** A text that begins as an adapter does is one: its base is named, and neither is a run, which knows its base itself. */
const namesAdapter = (written: string | NewModel): boolean => {
  if (typeof written !== 'string' || !written.startsWith('adapter:')) return true;
  const source = parseSource('model', written);
  return source.from === 'adapter' && pathsOf(source).every((path) => !path.startsWith('run:'));
};
const ADAPTER_ERROR =
  'expected adapter:FOLDER on BASE, where both are a folder or artifact:SHA256; run:ID alone is an adapter of a run with its base';
const RUN_ERROR =
  'expected run:ID, where an ID is 1-100 characters of a-z 0-9 . _ -, beginning with a letter or digit';

/**
 * `run:ID` is what a finished run trained, `run:ID@VERSION` the version that it published after so many steps, `artifact:SHA256`
 * a stored model, `adapter:FOLDER on BASE` an adapter as PEFT writes it on a folder or a stored model, anything else a folder
 * in the Hugging Face layout.
 */
export const ModelSource = z
  .union(
    [
      z
        .string()
        .min(1)
        .meta({ title: 'run:ID, run:ID@VERSION, artifact:SHA256, adapter:FOLDER on BASE or a folder' }),
      NewModel,
    ],
    {
      error:
        'expected run:ID, run:ID@VERSION, artifact:SHA256, adapter:FOLDER on BASE, a folder, or the shape of a new model: { layers, width, heads, contextLength, vocabSize }',
    },
  )
  .refine(namesRun, RUN_ERROR)
  .refine(namesAdapter, ADAPTER_ERROR)
  .register(named, { as: ['model_name_or_path'] });
sourceKinds.add(ModelSource, { kind: 'model' });

/**
 * `bundled` is the corpus that comes with rlhf-streams, `bundled:NAME` a small set to evaluate on, `run:ID` the comparisons a sampling run recorded,
 * `feedback:COLLECTION` what was published on topic `feedback` when the run starts, anything else a .jsonl, .ndjson, .json,
 * .csv or .tsv file (each also with .gz), a .parquet file, a pattern of such files (`shards/*.parquet`), a folder of them, or a
 * folder that Hugging Face's `save_to_disk` wrote. Of a folder with splits `train` is read, or the one named behind it.
 */
export const DataSource = z
  .string()
  .min(1)
  .refine(
    namesCollection,
    'expected feedback:COLLECTION, where a collection is 1-100 characters of A-Z a-z 0-9 . _ -',
  )
  .refine(namesSet, `expected bundled, or bundled:NAME with one of the names ${BUNDLED_SETS.join(', ')}`)
  .refine(namesRun, RUN_ERROR)
  .meta({
    title: 'bundled, bundled:NAME, run:ID, feedback:COLLECTION, a file, a pattern of files, or a folder',
  });

sourceKinds.add(DataSource, { kind: 'data' });

/** What a run learns from: a source, or a list of files, folders and patterns of files, which are one dataset. */
export const DataSources = z.union(
  [
    DataSource,
    z
      .array(DataSource)
      .min(1)
      .refine(
        (all) => all.length === 1 || all.every((written) => parseSource('data', written).from === 'path'),
        'expected files, folders and patterns of files alone in a list',
      )
      .meta({ title: 'a list of files' }),
  ],
  { error: 'expected a source of data, or a list of files' },
);

const namesDeclared = (written: string): boolean => {
  const source = parseSource('scorer', written);
  return source.from !== 'declared' || ScorerName.safeParse(source.name).success;
};

/**
 * A reward model's run or folder; `gold:DATA`: a sentiment classifier trained on labelled text, of both labels; or
 * `declared:NAME`: a scorer that the operator of the services declared in the file of RLHF_SCORERS.
 */
export const ScorerSource = z
  .string()
  .min(1)
  .refine(namesRun, RUN_ERROR)
  .refine(namesAdapter, ADAPTER_ERROR)
  .refine(namesDeclared, `expected declared:NAME, where a NAME is ${SCORER_NAME_IN_WORDS}`)
  .meta({ title: 'run:ID, gold:DATA, artifact:SHA256, adapter:FOLDER on BASE, declared:NAME or a folder' });
sourceKinds.add(ScorerSource, { kind: 'scorer' });
