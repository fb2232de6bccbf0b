/** Datasets as items of a run: tokenised for its model, cut to its lengths, split into training and test. */
import { type Dataset, promptOf } from '@rlhf-streams/data';
import type { Message } from '@rlhf-streams/model';
import { isModelError } from '@rlhf-streams/model/errors';
import {
  type ComparisonItem,
  type DatasetSpec,
  type DemonstrationItem,
  dataSpecOf,
  MOST_COMPLETIONS,
  type PromptItem,
  type PromptsSpec,
  type RunConfig,
  specOf,
} from '@rlhf-streams/runs';
import { CoordinatorError } from '../errors.js';
import { accountFor, type OfDataset, type Outcome, type PreparedItems, type Reason } from './account.js';
import type { Encoder } from './encoder.js';
import type { Feedback } from './feedback.js';
import {
  ALL_TIED,
  contextOf,
  DUPLICATE,
  EMPTY_COMPLETION,
  EMPTY_TEXT,
  fitsRecord,
  isEmpty,
  type Limit,
  limitOf,
  longer,
  lost,
  noRoom,
  nothingLost,
  TOO_LARGE,
  TOO_MANY,
} from './reasons.js';
import { judgedTexts, thumbItems } from './thumbs.js';

type Unsplit<T> = Omit<T, 'split'>;

/** The items that a run makes of rows: of its main dataset, or of the one that is named. */
export function itemsOf(config: RunConfig, rows: Dataset, encoder: Encoder, dataset?: string): PreparedItems {
  const data = dataSpecOf(specOf(config), dataset);
  const of = { config, dataset };
  switch (data.kind) {
    case 'demonstrations':
      return accountFor(of, demonstrations(rows, encoder, limitOf(data, encoder)));
    case 'comparisons':
      return accountFor(of, comparisons(rankings(rows, data), encoder, limitOf(data, encoder)));
    case 'thumbs': {
      const judged = judgedTexts(rows);
      if (!judged)
        throw unfit(
          rows,
          'thumbs',
          '{prompt, completion, label}, each label true or false, or {prompt, chosen, rejected}',
        );
      return thumbItems(of, judged, encoder, limitOf(data, encoder));
    }
    case 'prompts':
      return accountFor(of, prompts(data, rows, encoder));
  }
}

/** The items of comparisons that another run recorded, tokenised. */
export function recordedItems(
  config: RunConfig,
  recorded: readonly Unsplit<ComparisonItem>[],
  encoder: Pick<Encoder, 'contextLength'>,
  dataset?: string,
): PreparedItems {
  const of = { config, dataset };
  const limit = limitOf(comparingIn(of, 'run:ID, which is recorded comparisons'), encoder);
  const outcomes = recorded.map((item): Outcome<Unsplit<ComparisonItem>> => {
    const dropped = withoutPreference(item) ?? unfitting(item, limit);
    return dropped ? { dropped } : { item };
  });
  return accountFor(of, outcomes);
}

/** The items of published preferences or thumbs, whichever a run takes. Their ids go along as metadata. */
export function feedbackItems(
  config: RunConfig,
  feedback: readonly Feedback[],
  encoder: Encoder,
  dataset?: string,
): PreparedItems {
  const of = { config, dataset };
  const data = dataSpecOf(specOf(config), dataset);
  if (data.kind === 'thumbs') {
    const judged = feedback.map(({ feedback, prompt, completion, label, labeler }) =>
      completion === undefined || label === undefined
        ? { dropped: NO_THUMB }
        : { prompt, completion, label, labeler, metadata: { feedback } },
    );
    return thumbItems(of, judged, encoder, limitOf(data, encoder));
  }
  const limit = limitOf(comparingIn(of, 'feedback:COLLECTION, which is comparisons and thumbs'), encoder);
  const ranked = feedback.map(({ feedback, prompt, completions, ranks, margin, labeler }) =>
    completions === undefined || ranks === undefined
      ? { dropped: NO_RANKING }
      : {
          prompt,
          completions: completions.map((text) => ({ text })),
          ranks,
          margin,
          labeler,
          metadata: { feedback },
        },
  );
  return accountFor(of, comparisons(ranked, encoder, limit));
}

/** A collection may hold both; what a method does not take is not lost, another takes it. */
const NO_THUMB: Reason = {
  words: 'a ranking, not a thumb',
  lost: false,
  ofAll: 'every feedback is a ranking, which other methods take',
};
const NO_RANKING: Reason = {
  words: 'a thumb, not a ranking',
  lost: false,
  ofAll: 'every feedback is a thumb, which other methods take',
};

/** @throws CoordinatorError RUN_SOURCE_UNFIT for methods that compare nothing. */
function comparingIn({ config, dataset }: OfDataset, source: string): DatasetSpec {
  const data = dataSpecOf(specOf(config), dataset);
  if (data.kind === 'comparisons') return data;
  throw new CoordinatorError(
    'RUN_SOURCE_UNFIT',
    `expected a ${config.method} run to name ${dataset ?? 'data'} other than ${source}`,
  );
}

function demonstrations(
  dataset: Dataset,
  { begin, encode, end }: Encoder,
  limit: Limit,
): Outcome<Unsplit<DemonstrationItem>>[] {
  const cut = (promptTokens: readonly number[], completion: string): Outcome<Unsplit<DemonstrationItem>> => {
    const room = limit.tokens - promptTokens.length;
    if (room <= 0) return { dropped: noRoom(limit) };
    const whole = [...encode(completion), end];
    const item = { promptTokens: [...promptTokens], tokens: whole.slice(0, room) };
    if (!fitsRecord(item, item.tokens.length)) return { dropped: TOO_LARGE };
    return { item, cut: whole.length > room ? longer(limit) : undefined };
  };
  switch (dataset.kind) {
    case 'text':
    case 'labelled':
      return dataset.rows.map(({ text }) => (isEmpty(text) ? { dropped: EMPTY_TEXT } : cut(begin, text)));
    case 'completion':
    case 'thumb':
      return dataset.rows.map(({ prompt, completion }) =>
        isEmpty(completion) ? { dropped: EMPTY_COMPLETION } : cut([...begin, ...encode(prompt)], completion),
      );
    default:
      throw unfit(dataset, 'demonstrations', '{text}, {text, label} or {prompt, completion}');
  }
}

/** What a prompt is made of. */
interface RawPrompt extends Kept {
  readonly prompt: string | Message[];
  readonly metadata?: Record<string, unknown>;
  /** A completion that stands in for samples. */
  readonly completion?: string | undefined;
}

/** Columns of a row that only go along: they neither tell prompts apart nor decide what is held out. */
interface Kept {
  readonly kept?: Readonly<Record<string, unknown>> | undefined;
}

function prompts(
  { words, given = false }: Pick<PromptsSpec, 'words' | 'given'>,
  dataset: Dataset,
  encoder: Encoder,
): Outcome<Unsplit<PromptItem>>[] {
  const limit = contextOf(encoder);
  const known = new Map<string, Outcome<Unsplit<PromptItem>>>();
  const outcomeOf = ({ prompt, metadata, kept, completion }: RawPrompt): Outcome<Unsplit<PromptItem>> => {
    const encoded = encodedUnlessRefused(encoder, prompt);
    if ('dropped' in encoded) return encoded;
    const { text, tokens } = encoded;
    if (tokens.length >= limit.tokens) return { dropped: noRoom(limit) };
    const messages = typeof prompt === 'string' ? undefined : prompt;
    const decides = { text, ...(messages && { messages }), tokens, ...(metadata && { metadata }) };
    const whole = completion === undefined ? [] : [...encoder.encode(completion), encoder.end];
    const room = limit.tokens - tokens.length;
    const item = {
      ...decides,
      ...(kept && { metadata: { ...metadata, ...kept } }),
      ...(completion !== undefined && { completion: { text: completion, tokens: whole.slice(0, room) } }),
    };
    if (!fitsRecord(item, 0)) return { dropped: TOO_LARGE };
    return { item, decides, cut: whole.length > room ? longer(limit) : undefined };
  };
  return rawPrompts(dataset, words, given).map((raw) => {
    if ('dropped' in raw) return raw;
    const { prompt, metadata } = raw;
    const key = typeof prompt === 'string' && !metadata ? prompt : JSON.stringify([prompt, metadata]);
    const first = known.get(key);
    if (first) return 'item' in first ? { dropped: DUPLICATE } : first;
    const outcome = outcomeOf(raw);
    known.set(key, outcome);
    return outcome;
  });
}

/** A conversation that the chat template refuses is a row lost; a model without a template reads none at all. */
function encodedUnlessRefused(encoder: Encoder, prompt: RawPrompt['prompt']) {
  try {
    return encoder.prompt(prompt);
  } catch (error) {
    if (!isModelError(error) || error.code !== 'MODEL_CHAT_TEMPLATE') throw error;
    return { dropped: lost(error.message) };
  }
}

function rawPrompts(dataset: Dataset, words: number, given: boolean): (RawPrompt | { dropped: Reason })[] {
  if (given) return answeredPrompts(dataset);
  switch (dataset.kind) {
    case 'text':
    case 'labelled': {
      const dropped = lost(`too short to take ${words} words of and leave two`, 'lower promptWords');
      return dataset.rows.map(({ text, kept }) => {
        const prompt = promptOf(text, words);
        return prompt === undefined ? { dropped } : { prompt, kept };
      });
    }
    case 'conversation':
      return dataset.rows.map(({ messages, ...rest }) => ({ prompt: messages, ...rest }));
    case 'prompt':
      return dataset.rows;
    case 'completion':
    case 'thumb':
    case 'preference':
    case 'ranking':
      return dataset.rows.map(({ prompt, kept }) => ({ prompt, kept }));
    case 'question':
      return dataset.rows.map(({ question, metadata, kept }) => ({
        prompt: question,
        kept: { ...metadata, ...kept },
      }));
    case 'sentences':
      throw unfit(dataset, 'prompts', '{prompt}, {messages} or {text}');
  }
}

/** Prompts with the completion that their rows have, of several the best. */
function answeredPrompts(dataset: Dataset): RawPrompt[] {
  switch (dataset.kind) {
    case 'completion':
      return dataset.rows;
    case 'preference':
      return dataset.rows.map(({ prompt, chosen, kept }) => ({ prompt, completion: chosen, kept }));
    case 'ranking':
      return dataset.rows.map(({ prompt, completions, ranks, kept }) => ({
        prompt,
        completion: completions[ranks.indexOf(Math.min(...ranks))],
        kept,
      }));
    default:
      throw unfit(
        dataset,
        'given completions',
        '{prompt, completion}, {prompt, chosen, rejected} or rankings',
      );
  }
}

/** Ranked completions of a prompt; rank 1 is the best. */
interface RankedTexts {
  readonly prompt: string;
  readonly completions: readonly { readonly text: string; readonly score?: number }[];
  readonly ranks: readonly number[];
  readonly margin?: number | undefined;
  readonly labeler: string;
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
  readonly kept?: Kept['kept'];
  /** Whether completions end, as those do that are learned from; choices go on. Default true. */
  readonly ends?: boolean;
}

function comparisons(
  ranked: readonly (RankedTexts | { readonly dropped: Reason })[],
  { begin, encode, end }: Encoder,
  limit: Limit,
): Outcome<Unsplit<ComparisonItem>>[] {
  return ranked.map((row) => {
    if ('dropped' in row) return row;
    const { prompt, completions, ranks, margin, labeler, metadata, kept, ends = true } = row;
    const item = {
      promptText: prompt,
      promptTokens: [...begin, ...encode(prompt)],
      completions: completions.map(({ text, ...rest }) => ({
        text,
        tokens: [...encode(text), ...(ends ? [end] : [])],
        ...rest,
      })),
      ranks: [...ranks],
      ...(margin !== undefined && { margin }),
      labeler,
      ...(metadata && { metadata }),
    };
    const dropped =
      withoutPreference(item) ??
      (completions.some(({ text }) => isEmpty(text)) ? EMPTY_COMPLETION : unfitting(item, limit));
    if (dropped) return { dropped };
    return kept ? { item: { ...item, metadata: { ...metadata, ...kept } }, decides: item } : { item };
  });
}

/** The reason for which nothing can be learned from a comparison, if there is one: ranks or completions do not differ. */
function withoutPreference({ completions, ranks }: Unsplit<ComparisonItem>): Reason | undefined {
  if (ranks.every((rank) => rank === ranks[0])) return ALL_TIED;
  const [first] = completions;
  const tokens = first!.tokens.join();
  if (completions.some((completion) => completion.tokens.join() !== tokens)) return undefined;
  const alike = completions.every(({ text }) => text === first!.text) ? 'text' : 'tokens';
  const sides = completions.length === 2 ? 'chosen and rejected' : 'all completions';
  return nothingLost(`no preference: ${sides} are the same ${alike}`);
}

/** The reason for which the model or the log cannot take a comparison, if there is one. */
function unfitting(item: Unsplit<ComparisonItem>, limit: Limit): Reason | undefined {
  const { promptTokens, completions } = item;
  if (completions.length > MOST_COMPLETIONS) return TOO_MANY;
  if (completions.some(({ tokens }) => promptTokens.length + tokens.length > limit.tokens))
    return longer(limit);
  const tokens = completions.reduce((sum, { tokens }) => sum + tokens.length, 0);
  return fitsRecord(item, tokens) ? undefined : TOO_LARGE;
}

function rankings(dataset: Dataset, { choices }: Pick<DatasetSpec, 'choices'>): RankedTexts[] {
  const labeler = 'dataset';
  switch (dataset.kind) {
    case 'ranking':
      return dataset.rows.map(({ prompt, completions, ranks, rewards, kept }) => ({
        prompt,
        completions: completions.map((text, i) => ({ text, ...(rewards && { score: rewards[i]! }) })),
        ranks,
        labeler,
        kept,
      }));
    case 'preference':
      return dataset.rows.map(({ prompt, chosen, rejected, margin, kept }) => ({
        prompt,
        completions: [{ text: chosen }, { text: rejected }],
        ranks: [1, 2],
        margin,
        labeler,
        kept,
      }));
    case 'question':
      if (choices)
        return dataset.rows.map(({ question, choices: texts, ranks, metadata, kept }) => ({
          ...filledIn(choices.template, question, texts),
          ranks,
          labeler,
          metadata,
          kept,
          ends: false,
        }));
      break;
    case 'sentences':
      if (choices)
        return dataset.rows.map(({ more, less, metadata, kept }) => ({
          prompt: '',
          completions: [{ text: more }, { text: less }],
          ranks: [1, 2],
          labeler,
          metadata,
          kept,
          ends: false,
        }));
  }
  throw unfit(dataset, 'comparisons', '{prompt, chosen, rejected} or {prompt, completions, ranks}');
}

/** The space between a question and a choice belongs to the choice, as tokenizers have it. */
function filledIn(template: string, question: string, choices: readonly string[]) {
  const before = template.slice(0, template.lastIndexOf('{choice}'));
  const prompt = before.trimEnd();
  const space = before.slice(prompt.length);
  return {
    prompt: prompt.replace('{question}', () => question),
    completions: choices.map((choice) => ({ text: `${space}${choice}` })),
  };
}

const unfit = ({ kind }: Dataset, what: string, expected: string) =>
  new CoordinatorError(
    'RUN_SOURCE_UNFIT',
    kind === 'conversation'
      ? `expected data to make ${what} of, that is rows of ${expected}; got conversations, which are only sampled from for now: render them with the model's chat template first`
      : `expected data to make ${what} of, that is rows of ${expected}; got ${kind} rows`,
  );
