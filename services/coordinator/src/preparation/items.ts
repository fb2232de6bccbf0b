/** Datasets as items of a run: tokenised for its model, cut to its lengths, split into training and test. */
import { type Dataset, promptOf } from '@rlhf-streams/data';
import type { DataAccount } from '@rlhf-streams/events';
import { MAX_RECORD_BYTES } from '@rlhf-streams/log';
import {
  type EncodedPrompt,
  encodePrompt,
  type Message,
  type ModelConfig,
  type Tokenizer,
} from '@rlhf-streams/model';
import { isModelError } from '@rlhf-streams/model/errors';
import {
  type ComparisonItem,
  type DatasetSpec,
  type DemonstrationItem,
  DUPLICATE_PROMPT,
  dataSpecOf,
  MOST_COMPLETIONS,
  type PromptItem,
  type PromptsSpec,
  type RunConfig,
  type RunItem,
  specOf,
} from '@rlhf-streams/runs';
import { CoordinatorError } from '../errors.js';
import { accountFor, type OfDataset, type Outcome, type Reason } from './account.js';
import type { Feedback } from './feedback.js';

type Unsplit<T> = Omit<T, 'split'>;

/** A run's items, and the account of the rows that they are made of. */
export interface PreparedItems {
  readonly items: readonly RunItem[];
  readonly data: DataAccount;
}

interface Encoder {
  readonly contextLength: number;
  /** Tokens that the tokenizer puts before a text; may be empty. */
  readonly begin: readonly number[];
  encode(text: string): number[];
  /** A prompt to sample from: a text or a conversation, as text and as tokens, at least one. */
  prompt(prompt: string | readonly Message[]): Pick<EncodedPrompt, 'text' | 'tokens'>;
  /** Token that ends a completion. */
  readonly end: number;
}

export const encoderOf = (
  tokenizer: Pick<Tokenizer, 'begin' | 'encode' | 'eosId' | 'renderChat'>,
  config: Pick<ModelConfig, 'contextLength' | 'bosTokenId'>,
): Encoder => ({
  contextLength: config.contextLength,
  begin: tokenizer.begin,
  encode: (text) => tokenizer.encode(text),
  prompt: (prompt) => encodePrompt(tokenizer, config, prompt),
  end: tokenizer.eosId,
});

/** The items that a run makes of rows: of its main dataset, or of the one that is named. */
export function itemsOf(config: RunConfig, rows: Dataset, encoder: Encoder, dataset?: string): PreparedItems {
  const data = dataSpecOf(specOf(config), dataset);
  const of = { config, dataset };
  switch (data.kind) {
    case 'demonstrations':
      return accountFor(of, demonstrations(rows, encoder, limitOf(data, encoder)));
    case 'comparisons':
      return accountFor(of, comparisons(rankings(rows), encoder, limitOf(data, encoder)));
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

/** The items of published preferences. Their ids go along as metadata. */
export function feedbackItems(
  config: RunConfig,
  feedback: readonly Feedback[],
  encoder: Encoder,
  dataset?: string,
): PreparedItems {
  const of = { config, dataset };
  const limit = limitOf(comparingIn(of, 'feedback:COLLECTION, which is comparisons'), encoder);
  const ranked = feedback.map(({ feedback, prompt, completions, ranks, margin, labeler }) => ({
    prompt,
    completions: completions.map((text) => ({ text })),
    ranks,
    margin,
    labeler,
    metadata: { feedback },
  }));
  return accountFor(of, comparisons(ranked, encoder, limit));
}

/** @throws CoordinatorError RUN_SOURCE_UNFIT for methods that compare nothing. */
function comparingIn({ config, dataset }: OfDataset, source: string): DatasetSpec {
  const data = dataSpecOf(specOf(config), dataset);
  if (data.kind === 'comparisons') return data;
  throw new CoordinatorError(
    'RUN_SOURCE_UNFIT',
    `expected a ${config.method} run to name ${dataset ?? 'data'} other than ${source}`,
  );
}

/** The most tokens of an item, what the limit is called in reasons, and how to raise it. */
interface Limit {
  readonly tokens: number;
  readonly words: string;
  readonly help: string;
}

function limitOf({ limit }: DatasetSpec, encoder: Pick<Encoder, 'contextLength'>): Limit {
  const { setting, tokens } = limit;
  if (tokens >= encoder.contextLength) return contextOf(encoder);
  return { tokens, words: `${setting} of ${tokens} tokens`, help: `raise ${setting} or shorten the texts` };
}

const contextOf = ({ contextLength }: Pick<Encoder, 'contextLength'>): Limit => ({
  tokens: contextLength,
  words: `the context of ${contextLength} tokens`,
  help: 'take a model with a longer contextLength or shorten the texts',
});

const lost = (words: string, help?: string): Reason => ({ words, lost: true, ...(help && { help }) });
const nothingLost = (words: string): Reason => ({ words, lost: false });

const longer = ({ words, help }: Limit) => lost(`longer than ${words}`, help);
const noRoom = ({ words, help }: Limit) => lost(`no room for a completion in ${words}`, help);
const EMPTY_TEXT = lost('empty text');
const EMPTY_COMPLETION = lost('empty completion');
const TOO_MANY = lost(`more than ${MOST_COMPLETIONS} completions`, 'leave completions out');
const TOO_LARGE = lost('too large for a record', 'shorten the texts');
const DUPLICATE = nothingLost(DUPLICATE_PROMPT);
const ALL_TIED: Reason = {
  words: 'every completion is ranked the same',
  lost: false,
  ofAll: 'every ranking is a tie',
};

const isEmpty = (text: string): boolean => text.trim() === '';

/** Bytes of a log-prob in single precision as JSON, with its comma. */
const LOGPROB_BYTES = 22;
/** Bytes of a record besides the item or its log-probs. */
const OVERHEAD_BYTES = 10_000;

/** Whether the log takes the records of an item: the item itself, and a log-prob for each token that is learned. */
function fitsRecord(item: object, tokens: number): boolean {
  const bytes = Buffer.byteLength(JSON.stringify(item));
  return Math.max(bytes, tokens * LOGPROB_BYTES) + OVERHEAD_BYTES <= MAX_RECORD_BYTES;
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
      return dataset.rows.map(({ prompt, completion }) =>
        isEmpty(completion) ? { dropped: EMPTY_COMPLETION } : cut([...begin, ...encode(prompt)], completion),
      );
    default:
      throw unfit(dataset, 'demonstrations', '{text}, {text, label} or {prompt, completion}');
  }
}

/** What a prompt is made of. */
interface RawPrompt {
  readonly prompt: string | Message[];
  readonly metadata?: Record<string, unknown>;
}

function prompts(
  { words }: Pick<PromptsSpec, 'words'>,
  dataset: Dataset,
  encoder: Encoder,
): Outcome<Unsplit<PromptItem>>[] {
  const limit = contextOf(encoder);
  const known = new Map<string, Outcome<Unsplit<PromptItem>>>();
  const outcomeOf = ({ prompt, metadata }: RawPrompt): Outcome<Unsplit<PromptItem>> => {
    const encoded = encodedUnlessRefused(encoder, prompt);
    if ('dropped' in encoded) return encoded;
    const { text, tokens } = encoded;
    if (tokens.length >= limit.tokens) return { dropped: noRoom(limit) };
    const messages = typeof prompt === 'string' ? undefined : prompt;
    const item = { text, ...(messages && { messages }), tokens, ...(metadata && { metadata }) };
    return fitsRecord(item, 0) ? { item } : { dropped: TOO_LARGE };
  };
  return rawPrompts(dataset, words).map((raw) => {
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

function rawPrompts(dataset: Dataset, words: number): (RawPrompt | { dropped: Reason })[] {
  switch (dataset.kind) {
    case 'text':
    case 'labelled': {
      const dropped = lost(`too short to take ${words} words of and leave two`, 'lower promptWords');
      return dataset.rows.map(({ text }) => {
        const prompt = promptOf(text, words);
        return prompt === undefined ? { dropped } : { prompt };
      });
    }
    case 'conversation':
      return dataset.rows.map(({ messages, ...rest }) => ({ prompt: messages, ...rest }));
    case 'prompt':
      return dataset.rows;
    case 'completion':
    case 'preference':
    case 'ranking':
      return dataset.rows.map(({ prompt }) => ({ prompt }));
  }
}

/** Ranked completions of a prompt; rank 1 is the best. */
interface RankedTexts {
  readonly prompt: string;
  readonly completions: readonly { readonly text: string; readonly score?: number }[];
  readonly ranks: readonly number[];
  readonly margin?: number | undefined;
  readonly labeler: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

function comparisons(
  ranked: readonly RankedTexts[],
  { begin, encode, end }: Encoder,
  limit: Limit,
): Outcome<Unsplit<ComparisonItem>>[] {
  return ranked.map(({ prompt, completions, ranks, margin, labeler, metadata }) => {
    const item = {
      promptText: prompt,
      promptTokens: [...begin, ...encode(prompt)],
      completions: completions.map(({ text, ...rest }) => ({
        text,
        tokens: [...encode(text), end],
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
    return dropped ? { dropped } : { item };
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

function rankings(dataset: Dataset): RankedTexts[] {
  const labeler = 'dataset';
  switch (dataset.kind) {
    case 'ranking':
      return dataset.rows.map(({ prompt, completions, ranks, rewards }) => ({
        prompt,
        completions: completions.map((text, i) => ({ text, ...(rewards && { score: rewards[i]! }) })),
        ranks,
        labeler,
      }));
    case 'preference':
      return dataset.rows.map(({ prompt, chosen, rejected, margin }) => ({
        prompt,
        completions: [{ text: chosen }, { text: rejected }],
        ranks: [1, 2],
        margin,
        labeler,
      }));
    default:
      throw unfit(dataset, 'comparisons', '{prompt, chosen, rejected} or {prompt, completions, ranks}');
  }
}

const unfit = ({ kind }: Dataset, what: string, expected: string) =>
  new CoordinatorError(
    'RUN_SOURCE_UNFIT',
    kind === 'conversation'
      ? `expected data to make ${what} of, that is rows of ${expected}; got conversations, which are only sampled from for now: render them with the model's chat template first`
      : `expected data to make ${what} of, that is rows of ${expected}; got ${kind} rows`,
  );
