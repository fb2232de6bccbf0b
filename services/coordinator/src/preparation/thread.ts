/** The coordinator's compute thread: reads datasets, trains tokenizers and classifiers, makes new models. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Dataset, detectFormat, loadDataset, type Said } from '@rlhf-streams/data';
import { bundledSet } from '@rlhf-streams/evaluation';
import type { DataAccount } from '@rlhf-streams/events';
import {
  describeModel,
  initialiseWeights,
  loadTokenizer,
  type ModelConfig,
  type ModelFolders,
  newModelConfig,
  readEndTokens,
  type Tokenizer,
  tokenizerDifference,
  trainByteLevelBpe,
  writeCheckpoint,
} from '@rlhf-streams/model';
import {
  type DataOrigin,
  dataSpecOf,
  formatOf,
  ITEMS_FILE,
  ITEMS_FORMAT_FILE,
  type NewModel,
  type PromptItem,
  type RunItem,
  sourceText,
  specOf,
} from '@rlhf-streams/runs';
import { bundledCorpus, labelledRows, trainGoldReward } from '@rlhf-streams/sentiment';
import { serve } from '@rlhf-streams/threads';
import { longestSequence, mostSequences, shortestPrompt } from '../admission/lengths.js';
import type { Lengths } from '../admission/rules.js';
import { CoordinatorError } from '../errors.js';
import type { OfDataset, PreparedItems } from './account.js';
import { type Encoder, encoderOf } from './encoder.js';
import type { Feedback } from './feedback.js';
import { feedbackItems, itemsOf, recordedItems } from './items.js';
import { encodedAnew, type RecordedComparisons } from './recorded.js';

/** A dataset by its source, comparisons that a run recorded, prompts that one answered, or a collection of feedback. */
export type RunData =
  | { readonly source: DataOrigin }
  | { readonly recorded: RecordedComparisons; readonly policy: ModelFolders }
  | { readonly answered: Dataset }
  | { readonly feedback: readonly Feedback[] };

/** Folders of the models that read the items: the run's own, and reward models by role. */
export interface Readers {
  readonly model: ModelFolders;
  readonly scorers: Readonly<Record<string, ModelFolders>>;
}

const api = {
  /** A new model with a tokenizer trained on the data, as a folder at `out`. */
  async makeModel(spec: NewModel, source: DataOrigin, seed: number, out: string): Promise<void> {
    const tokenizer = trainByteLevelBpe(textsOf(await datasetOf(source)), { vocabSize: spec.vocabSize });
    const { vocabSize, eosId, padId } = loadTokenizer(tokenizer.json, tokenizer.config);
    const config = newModelConfig({
      ...spec,
      vocabSize,
      bosTokenId: eosId,
      eosTokenIds: [eosId],
      padTokenId: padId,
    });
    await writeCheckpoint(out, { config, tensors: initialiseWeights(config, seed), tokenizer });
  },

  /** Writes the items of a dataset of the run into `out`, counts them by split and the tokens of all, and accounts for its rows. */
  async makeItems(
    { config, dataset }: OfDataset,
    data: RunData,
    readers: Readers,
    out: string,
  ): Promise<{ counts: Record<RunItem['split'], number>; data: DataAccount; lengths: Lengths }> {
    const model = await readerAt(readers.model);
    const prepared = await preparedFrom({ config, dataset }, data, model);
    const { items } = prepared;
    await writeFile(join(out, ITEMS_FILE), linesOf(items));
    await writeFile(
      join(out, ITEMS_FORMAT_FILE),
      JSON.stringify({ format: formatOf(items), stopTokens: model.endTokens }),
    );
    const shortest = Object.entries(readers.scorers).map(async ([role, folders]) => {
      const scorer = await readerAt(folders);
      const encode = isSameTokenizer(scorer.tokenizer, model.tokenizer)
        ? ({ tokens }: { tokens: readonly number[] }) => tokens
        : readsPrompts(encoderOf(scorer.tokenizer, scorer.config, scorer.endTokens));
      return [role, shortestPrompt(items, encode)] as const;
    });
    return {
      data: prepared.data,
      counts: { train: countOf(items, 'train'), test: countOf(items, 'test') },
      lengths: {
        longest: longestSequence(dataSpecOf(specOf(config), dataset), items, model.config),
        mostSequences: mostSequences(items),
        shortestPrompt: Object.fromEntries(await Promise.all(shortest)),
      },
    };
  },

  /** A sentiment classifier trained on labelled text, as `gold-reward.json` in `out`. */
  async makeGoldReward(source: DataOrigin, out: string): Promise<void> {
    const rows = labelledRows(await datasetOf(source), sourceText(source));
    await mkdir(out);
    await writeFile(join(out, 'gold-reward.json'), JSON.stringify(trainGoldReward(rows)));
  },
};

/** Prompts as a scorer with another tokenizer reads them: conversations by its own chat template, where it has one. */
const readsPrompts =
  (encoder: Encoder) =>
  ({ text, messages, tools }: Pick<PromptItem, 'text' | 'messages' | 'tools'>): readonly number[] => {
    const read = messages && encoder.readsConversations ? encoder.prompt(messages, tools) : undefined;
    return read && 'tokens' in read ? read.tokens : [...encoder.begin, ...encoder.encode(text)];
  };

const countOf = (items: readonly RunItem[], wanted: RunItem['split']): number =>
  items.filter(({ split }) => split === wanted).length;

const LINES_AT_ONCE = 1000;

/** Items as lines of JSON, in chunks, because all lines together may exceed the longest string. */
function* linesOf(items: readonly RunItem[]): Generator<string> {
  for (let start = 0; start < items.length; start += LINES_AT_ONCE) {
    const some = items.slice(start, start + LINES_AT_ONCE);
    yield some.map((item) => `${JSON.stringify(item)}\n`).join('');
  }
}

async function preparedFrom(
  { config, dataset }: OfDataset,
  data: RunData,
  { config: model, tokenizer, endTokens }: Reader,
): Promise<PreparedItems> {
  const encoder = encoderOf(tokenizer, model, endTokens);
  if ('recorded' in data) {
    const recorder = await readerAt(data.policy);
    const recorded = isSameTokenizer(recorder.tokenizer, tokenizer)
      ? data.recorded
      : encodedAnew(data.recorded, recorder, encoder);
    return recordedItems(config, recorded, encoder, dataset);
  }
  if ('feedback' in data) return feedbackItems(config, data.feedback, encoder, dataset);
  if ('answered' in data) return itemsOf(config, data.answered, encoder, dataset);
  const { keep = [] } = dataSpecOf(specOf(config), dataset);
  return itemsOf(config, await datasetOf(data.source, keep), encoder, dataset);
}

async function datasetOf(source: DataOrigin, keep: readonly string[] = []): Promise<Dataset> {
  switch (source.from) {
    case 'bundled':
      return source.set === undefined
        ? detectFormat(bundledCorpus(), { source: sourceText(source), keep })
        : loadDataset(bundledSet(source.set), { keep });
    case 'path':
      return loadDataset(source.path, { keep });
    case 'files':
      return loadDataset(source.paths, { keep });
    default:
      throw new CoordinatorError(
        'RUN_SOURCE_UNFIT',
        `expected texts to train a tokenizer or a classifier on, got ${sourceText(source)}, which has none for that: name a model that has a tokenizer`,
      );
  }
}

/** Every text of a dataset, to learn a vocabulary from. */
function textsOf(dataset: Dataset): string[] {
  switch (dataset.kind) {
    case 'text':
    case 'labelled':
      return dataset.rows.map(({ text }) => text);
    case 'completion':
    case 'thumb':
      return dataset.rows.map(({ prompt, completion }) => `${wordsOf(prompt)}${wordsOf(completion)}`);
    case 'conversation':
      return dataset.rows.map(({ messages }) => wordsOf(messages));
    default:
      throw new CoordinatorError(
        'RUN_SOURCE_UNFIT',
        `expected texts or completions to train a tokenizer on, got ${dataset.kind} rows: name a model that has one`,
      );
  }
}

const wordsOf = (said: Said): string =>
  typeof said === 'string' ? said : said.map(({ content }) => `${content}\n`).join('');

interface Reader {
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  /** Tokens at any of which its completions end. */
  readonly endTokens: readonly number[];
}

/** An admitted model, without its weights. */
async function readerAt(folders: ModelFolders): Promise<Reader> {
  const { config, tokenizer: files } = await describeModel(folders);
  const tokenizer = loadTokenizer(files!.json, files!.config);
  return { config, tokenizer, endTokens: await readEndTokens(folders.base, tokenizer) };
}

const isSameTokenizer = (a: Tokenizer, b: Tokenizer): boolean =>
  tokenizerDifference(a.json, b.json) === undefined;

export type PreparationThread = typeof api;
serve(api);
