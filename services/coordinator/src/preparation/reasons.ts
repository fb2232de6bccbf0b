/** Why rows of a dataset are left out of a run's items, or cut, and what limits there are. */

import type { Dataset, Said } from '@rlhf-streams/data';
import { MAX_RECORD_BYTES } from '@rlhf-streams/log';
import type { ModelConfig } from '@rlhf-streams/model';
import { type DatasetSpec, DUPLICATE_PROMPT, MOST_COMPLETIONS } from '@rlhf-streams/runs';
import { CoordinatorError } from '../errors.js';
import type { Reason } from './account.js';

/** An item before it is known whether it is held out. */
export type Unsplit<T> = Omit<T, 'split'>;

/** Columns of a row that only go along: they neither tell prompts apart nor decide what is held out. */
export interface Kept {
  readonly kept?: Readonly<Record<string, unknown>> | undefined;
}

/** The most tokens of an item, what the limit is called in reasons, and how to raise it. */
export interface Limit {
  readonly tokens: number;
  readonly words: string;
  readonly help: string;
}

export function limitOf({ limit }: DatasetSpec, encoder: Pick<ModelConfig, 'contextLength'>): Limit {
  const { setting, tokens } = limit;
  if (tokens >= encoder.contextLength) return contextOf(encoder);
  return { tokens, words: `${setting} of ${tokens} tokens`, help: `raise ${setting} or shorten the texts` };
}

export const contextOf = ({ contextLength }: Pick<ModelConfig, 'contextLength'>): Limit => ({
  tokens: contextLength,
  words: `the context of ${contextLength} tokens`,
  help: 'take a model with a longer contextLength or shorten the texts',
});

export const lost = (words: string, help?: string): Reason => ({ words, lost: true, ...(help && { help }) });
export const nothingLost = (words: string): Reason => ({ words, lost: false });

export const longer = ({ words, help }: Limit) => lost(`longer than ${words}`, help);
export const noRoom = ({ words, help }: Limit) => lost(`no room for a completion in ${words}`, help);
export const EMPTY_TEXT = lost('empty text');
export const EMPTY_COMPLETION = lost('empty completion');
export const SAYS_NOTHING = lost('no turn of the assistant to learn');
export const NOTHING_ASKED = lost('a conversation of the assistant alone, with nothing to answer');
export const TOO_MANY = lost(`more than ${MOST_COMPLETIONS} completions`, 'leave completions out');
export const TOO_LARGE = lost('too large for a record', 'shorten the texts');
export const DUPLICATE = nothingLost(DUPLICATE_PROMPT);
export const ALL_TIED: Reason = {
  words: 'every completion is ranked the same',
  lost: false,
  ofAll: 'every ranking is a tie',
};

/** Whether nothing is said; a turn that calls tools says something. */
export const isEmpty = (said: Said): boolean =>
  typeof said === 'string'
    ? said.trim() === ''
    : said.every(({ content, tool_calls }) => content.trim() === '' && !tool_calls);

/** Bytes of a log-prob in single precision as JSON, with its comma. */
const LOGPROB_BYTES = 22;
/** Bytes of a record besides the item or its log-probs. */
const OVERHEAD_BYTES = 10_000;

/** Whether the log takes the records of an item: the item itself, and a log-prob for each token that is learned. */
export function fitsRecord(item: object, tokens: number): boolean {
  const bytes = Buffer.byteLength(JSON.stringify(item));
  return Math.max(bytes, tokens * LOGPROB_BYTES) + OVERHEAD_BYTES <= MAX_RECORD_BYTES;
}

/** @param why what tells more than the kind of the rows */
export const unfit = ({ kind }: Dataset, what: string, expected: string, why?: string): CoordinatorError =>
  new CoordinatorError(
    'RUN_SOURCE_UNFIT',
    `expected data to make ${what} of, that is rows of ${expected}; got ${kind} rows${why ? `: ${why}` : ''}`,
  );
