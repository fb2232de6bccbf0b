/** The coordinator's compute thread: reads datasets, trains tokenizers and classifiers, makes new models. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundledCorpus, type Dataset, detectFormat, labelledRows, loadDataset } from '@rlhf-streams/data';
import { trainGoldReward } from '@rlhf-streams/evaluation';
import type { DataAccount } from '@rlhf-streams/events';
import {
  initialiseWeights,
  loadTokenizer,
  type ModelConfig,
  readCheckpoint,
  trainByteLevelBpe,
  writeCheckpoint,
} from '@rlhf-streams/model';
import { serve } from '@rlhf-streams/threads';
import {
  type ComparisonItem,
  ITEMS_FILE,
  type ModelSource,
  type RunConfig,
} from '@rlhf-streams/training/config';
import { CoordinatorError } from '../errors.js';
import { collectionOf, type Feedback } from './feedback.js';
import {
  encoderOf,
  feedbackItems,
  itemsOf,
  type PreparedItems,
  type RunItem,
  recordedItems,
} from './items.js';

/** A dataset by its source, comparisons that a run recorded, or a collection of feedback. */
export type RunData =
  | { readonly source: string }
  | { readonly recorded: readonly Omit<ComparisonItem, 'split'>[] }
  | { readonly feedback: readonly Feedback[] };

type NewModel = Exclude<ModelSource, string>;

const api = {
  /** A new model with a tokenizer trained on the data, as a folder at `out`. */
  async makeModel(spec: NewModel, source: string, seed: number, out: string): Promise<void> {
    if (spec.width % spec.heads !== 0) {
      throw new CoordinatorError(
        'RUN_SOURCE_UNFIT',
        `expected heads to divide the width of ${spec.width}, got ${spec.heads}`,
      );
    }
    const tokenizer = trainByteLevelBpe(textsOf(await datasetOf(source)), { vocabSize: spec.vocabSize });
    const { vocabSize, eosId, padId } = loadTokenizer(tokenizer.json, tokenizer.config);
    const config: ModelConfig = {
      architecture: spec.architecture,
      vocabSize,
      contextLength: spec.contextLength,
      width: spec.width,
      layers: spec.layers,
      heads: spec.heads,
      mlpWidth: 4 * spec.width,
      layerNormEpsilon: 1e-5,
      tieWordEmbeddings: true,
      bosTokenId: eosId,
      eosTokenId: eosId,
      padTokenId: padId,
    };
    await writeCheckpoint(out, { config, tensors: initialiseWeights(config, seed), tokenizer });
  },

  /** Writes the run's items into `out`, counts those held out, and accounts for the rows of its data. */
  async makeItems(
    config: RunConfig,
    data: RunData,
    model: string,
    out: string,
  ): Promise<{ test: number; data: DataAccount }> {
    const prepared = await preparedFrom(config, data, await encoderAt(model));
    await writeFile(join(out, ITEMS_FILE), linesOf(prepared.items));
    return { test: prepared.items.filter(({ split }) => split === 'test').length, data: prepared.data };
  },

  /** A sentiment classifier trained on labelled text, as `gold-reward.json` in `out`. */
  async makeGoldReward(source: string, out: string): Promise<void> {
    const rows = labelledRows(await datasetOf(source), source);
    await writeFile(join(out, 'gold-reward.json'), JSON.stringify(trainGoldReward(rows)));
  },
};

const LINES_AT_ONCE = 1000;

/** Items as lines of JSON, which together may be more than one string can hold. */
function* linesOf(items: readonly RunItem[]): Generator<string> {
  for (let start = 0; start < items.length; start += LINES_AT_ONCE) {
    const some = items.slice(start, start + LINES_AT_ONCE);
    yield some.map((item) => `${JSON.stringify(item)}\n`).join('');
  }
}

async function preparedFrom(
  config: RunConfig,
  data: RunData,
  encoder: ReturnType<typeof encoderOf>,
): Promise<PreparedItems> {
  if ('recorded' in data) return recordedItems(config, data.recorded, encoder);
  if ('feedback' in data) return feedbackItems(config, data.feedback, encoder);
  return itemsOf(config, await datasetOf(data.source), encoder);
}

async function datasetOf(source: string): Promise<Dataset> {
  if (source.startsWith('run:') || collectionOf(source) !== undefined) {
    throw new CoordinatorError(
      'RUN_SOURCE_UNFIT',
      `expected texts to train a tokenizer or a classifier on, got ${source}, which is comparisons: name a model that has a tokenizer`,
    );
  }
  return source === 'bundled' ? detectFormat(bundledCorpus(), { source }) : loadDataset(source);
}

/** Every text of a dataset, to learn a vocabulary from. */
function textsOf(dataset: Dataset): string[] {
  switch (dataset.kind) {
    case 'text':
    case 'labelled':
      return dataset.rows.map(({ text }) => text);
    case 'completion':
      return dataset.rows.map(({ prompt, completion }) => `${prompt}${completion}`);
    default:
      throw new CoordinatorError(
        'RUN_SOURCE_UNFIT',
        `expected texts or completions to train a tokenizer on, got ${dataset.kind} rows: name a model that has one`,
      );
  }
}

async function encoderAt(directory: string) {
  const { config, tokenizer } = await readCheckpoint(directory);
  if (!tokenizer)
    throw new CoordinatorError(
      'RUN_SOURCE_UNFIT',
      `expected ${directory} to hold a tokenizer.json, got none`,
    );
  return encoderOf(loadTokenizer(tokenizer.json, tokenizer.config), config);
}

export type PreparationThread = typeof api;
serve(api);
