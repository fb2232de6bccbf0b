/** TRL's dataset formats of plain text, recognised by their columns and validated row by row. */
import { z } from 'zod';
import { DataError } from './errors.js';
import { splitImplicitPrompt } from './implicit-prompt.js';
import { competitionRanks, type PreferencePair, type Ranking } from './preferences.js';
import { QUESTION_FORMATS, type QuestionRow, type SentencesRow } from './questions.js';
import { expecting, type Metadata, metadata, number, row, text } from './row-schemas.js';

export type TextRow = { text: string };
/** `label` 1 is positive, 0 negative. */
export type LabelledRow = { text: string; label: 0 | 1 };
/** `metadata` is whatever its writer wants to go along. */
export type PromptRow = { prompt: string; metadata?: Metadata };
/** A conversation that lacks the assistant's answer: its last message is of somebody else. */
export type ConversationRow = { messages: Message[]; metadata?: Metadata };
type Message = { role: string; content: string };
export type CompletionRow = { prompt: string; completion: string };
/** TRL's unpaired preference: `label` is true for a thumb up, false for a thumb down. */
export type ThumbRow = { prompt: string; completion: string; label: boolean };

/**
 * A dataset in one of TRL's formats, or of questions that are judged by log-prob. Rows keep only the columns of their
 * format, and as `kept` those that were asked for by name; questions keep all of their other columns as metadata.
 */
export type Dataset =
  | { kind: 'text'; rows: Kept<TextRow>[] }
  | { kind: 'labelled'; rows: Kept<LabelledRow>[] }
  | { kind: 'prompt'; rows: Kept<PromptRow>[] }
  | { kind: 'conversation'; rows: Kept<ConversationRow>[] }
  | { kind: 'completion'; rows: Kept<CompletionRow>[] }
  | { kind: 'thumb'; rows: Kept<ThumbRow>[] }
  | { kind: 'preference'; rows: Kept<PreferencePair>[] }
  | { kind: 'ranking'; rows: Kept<Ranking>[] }
  | { kind: 'question'; rows: Kept<QuestionRow>[] }
  | { kind: 'sentences'; rows: Kept<SentencesRow>[] };

type Kept<Row> = Row & { kept?: Metadata };

interface Format {
  kind: Dataset['kind'];
  /** The columns that make a dataset one of this format: it has them all. */
  columns: readonly string[];
  /** Whether a dataset of these columns is one of this format, where the columns alone do not tell. */
  fits?: (rows: readonly unknown[]) => boolean;
  /** Columns where a conversation could stand instead of text. */
  texts: readonly string[];
  schema: z.ZodType<unknown>;
}

const LABELS = new Map<unknown, 0 | 1>([
  [0, 0],
  [1, 1],
  [false, 0],
  [true, 1],
  ['neg', 0],
  ['pos', 1],
  ['negative', 0],
  ['positive', 1],
]);

/** Whether a value of column `label` means positive or negative. */
export const isLabel = (value: unknown): boolean => LABELS.has(value);

const absent = <T>(value: T | null | undefined): T | undefined => value ?? undefined;
const margin = number.nullish().transform(absent);
const numbers = z
  .array(number, { error: expecting('a list of numbers') })
  .nullish()
  .transform(absent);

const label = z.unknown().transform((value, context): 0 | 1 => {
  const meant = LABELS.get(value);
  if (meant !== undefined) return meant;
  context.addIssue({
    code: 'custom',
    message: `expected 0 or 1, a boolean, "neg" or "pos", "negative" or "positive", got ${short(value)}`,
  });
  return z.NEVER;
});

/** Completions whose labels mean something else are completions. */
function hasLabelOrNone(row: unknown): boolean {
  const { label } = (row ?? {}) as { label?: unknown };
  return label == null || isLabel(label);
}

const messages = z
  .array(
    z.object(
      { role: text.min(1, { error: 'expected the name of a role, got an empty string' }), content: text },
      { error: expecting('a message {role, content}') },
    ),
    { error: expecting('a list of messages {role, content}') },
  )
  .min(1, { error: 'expected a message at least, got an empty list' });
const completions = z
  .array(text, { error: expecting('a list of strings') })
  .min(2, { error: ({ input }) => `expected two completions or more, got ${(input as unknown[]).length}` });

/** A dataset has the first of these formats whose columns are all there. */
const FORMATS: readonly Format[] = [
  {
    kind: 'preference',
    columns: ['prompt', 'chosen', 'rejected'],
    texts: ['prompt', 'chosen', 'rejected'],
    schema: row({ prompt: text, chosen: text, rejected: text, margin }).transform(withoutAbsentMargin),
  },
  {
    kind: 'preference',
    columns: ['chosen', 'rejected'],
    texts: ['chosen', 'rejected'],
    schema: row({ chosen: text, rejected: text, margin }).transform(withImplicitPrompt),
  },
  {
    kind: 'ranking',
    columns: ['prompt', 'completions'],
    texts: ['prompt', 'completions'],
    schema: row({ prompt: text, completions, ranks: numbers, rewards: numbers }).transform(withOneOrder),
  },
  {
    kind: 'thumb',
    columns: ['prompt', 'completion', 'label'],
    fits: (rows) => rows.every(hasLabelOrNone),
    texts: ['prompt', 'completion'],
    schema: row({ prompt: text, completion: text, label: label.transform((label) => label === 1) }),
  },
  {
    kind: 'completion',
    columns: ['prompt', 'completion'],
    texts: ['prompt', 'completion'],
    schema: row({ prompt: text, completion: text }),
  },
  { kind: 'labelled', columns: ['text', 'label'], texts: [], schema: row({ text, label }) },
  { kind: 'text', columns: ['text'], texts: [], schema: row({ text }) },
  {
    kind: 'conversation',
    columns: ['prompt'],
    fits: (rows) => rows.some((row) => Array.isArray((row as Partial<Record<string, unknown>>)?.prompt)),
    texts: [],
    schema: row({ prompt: messages, metadata }).transform(withUnanswered),
  },
  {
    kind: 'prompt',
    columns: ['prompt'],
    texts: ['prompt'],
    schema: row({ prompt: text, metadata }).transform(withoutAbsentMetadata),
  },
  {
    kind: 'conversation',
    columns: ['messages'],
    texts: [],
    schema: row({ messages, metadata }).transform(withoutAnswer),
  },
  ...QUESTION_FORMATS,
];

/**
 * Recognises a dataset's format by the columns in which any row has a value (null counts as none), and validates every
 * row against it.
 * A `{chosen, rejected}` dataset comes out as `preference`, its prompt cut from the common prefix.
 *
 * @param options.source the file's name, for messages
 * @param options.keep other columns that rows keep, as `kept`
 * @throws DATA_EMPTY, DATA_UNKNOWN_FORMAT, DATA_NEEDS_CHAT_TEMPLATE, DATA_ROW_INVALID (with row number from 1, column,
 *   what was expected and what came), DATA_COLUMN_MISSING
 */
export function detectFormat(
  rows: readonly unknown[],
  options: { source?: string; keep?: readonly string[] } = {},
): Dataset {
  const source = options.source ?? 'dataset';
  if (rows.length === 0) {
    throw new DataError('DATA_EMPTY', `${source}: expected at least one row, but there is none`);
  }
  const present = presentColumns(rows);
  const { keep = [] } = options;
  requireColumns(source, keep, present);
  const format = FORMATS.find(
    ({ columns, fits }) => columns.every((column) => present.has(column)) && (!fits || fits(rows)),
  );
  if (format === undefined) throw unknownFormat(source, rows, present);
  const validated = rows.map((row, index) => {
    const where = `${source}: row ${index + 1}`;
    const conversation = format.texts.find((column) =>
      isConversation((row as Record<string, unknown>)?.[column]),
    );
    if (conversation !== undefined) throw needsChatTemplate(`${where}: ${conversation}`);
    const result = format.schema.safeParse(row);
    if (result.success) return withKept(result.data as object, row as Record<string, unknown>, keep);
    throw rowError(where, result.error, format);
  });
  return { kind: format.kind, rows: validated } as Dataset;
}

/** A column may also be one of the metadata that a row has already. */
function requireColumns(source: string, keep: readonly string[], present: ReadonlySet<string>): void {
  const missing = keep.find((column) => !present.has(column) && !present.has('metadata'));
  if (missing === undefined) return;
  throw new DataError(
    'DATA_COLUMN_MISSING',
    `${source}: expected column ${cut(missing)} to be kept, but no row has it; there are {${listed(present)}}`,
  );
}

function withKept(row: object, raw: Record<string, unknown>, keep: readonly string[]) {
  const kept = keep.filter((column) => raw[column] != null).map((column) => [column, raw[column]]);
  return kept.length === 0 ? row : { ...row, kept: Object.fromEntries(kept) };
}

type Nullish<T> = T | null | undefined;

function withoutAbsentMetadata<Row extends { metadata?: Nullish<Metadata> }>({ metadata, ...row }: Row) {
  return { ...row, ...(metadata && { metadata }) };
}

const isAnswer = (message: Message | undefined): boolean => message?.role === 'assistant';

function withUnanswered(
  { prompt, metadata }: { prompt: Message[]; metadata?: Nullish<Metadata> },
  context: z.RefinementCtx,
): ConversationRow {
  if (!isAnswer(prompt.at(-1))) return withoutAbsentMetadata({ messages: prompt, metadata });
  context.addIssue({
    code: 'custom',
    path: ['prompt'],
    message: "expected a message to answer last, got the assistant's own",
  });
  return z.NEVER;
}

/** A whole conversation as a prompt: what the assistant said last is left to be said. */
function withoutAnswer(
  { messages, metadata }: { messages: Message[]; metadata?: Nullish<Metadata> },
  context: z.RefinementCtx,
): ConversationRow {
  const asked = messages.slice(0, messages.findLastIndex((message) => !isAnswer(message)) + 1);
  if (asked.length > 0) return withoutAbsentMetadata({ messages: asked, metadata });
  context.addIssue({
    code: 'custom',
    path: ['messages'],
    message: "expected a message to answer, got the assistant's own alone",
  });
  return z.NEVER;
}

type ImplicitPair = { chosen: string; rejected: string; margin?: number | undefined };

function withoutAbsentMargin({ margin, ...pair }: ImplicitPair & { prompt: string }): PreferencePair {
  return margin === undefined ? pair : { ...pair, margin };
}

function withImplicitPrompt(row: ImplicitPair, context: z.RefinementCtx): PreferencePair {
  const { chosen, rejected, margin } = row;
  const split = splitImplicitPrompt(chosen, rejected);
  if (split !== undefined) return withoutAbsentMargin({ ...split, margin });
  // Equal sides are a pair without a preference, not a wrong column: whoever reads the pair deals with that.
  if (chosen === rejected) return withoutAbsentMargin({ prompt: '', chosen, rejected, margin });
  context.addIssue({
    code: 'custom',
    path: ['chosen'],
    message: 'expected a prefix in common with rejected, to be the prompt; add a prompt column',
  });
  return z.NEVER;
}

type UnorderedRanking = {
  prompt: string;
  completions: string[];
  ranks?: number[] | undefined;
  rewards?: number[] | undefined;
};

function withOneOrder(row: UnorderedRanking, context: z.RefinementCtx): Ranking {
  const { prompt, completions, ranks, rewards } = row;
  const numbers = ranks ?? rewards;
  if (numbers === undefined || (ranks !== undefined && rewards !== undefined)) {
    context.addIssue({
      code: 'custom',
      message: `expected either ranks (less is better) or rewards (more is better), got ${ranks ? 'both' : 'neither'}`,
    });
    return z.NEVER;
  }
  if (numbers.length !== completions.length) {
    context.addIssue({
      code: 'custom',
      path: [ranks === undefined ? 'rewards' : 'ranks'],
      message: `expected one number for each of ${completions.length} completions, got ${numbers.length}`,
    });
    return z.NEVER;
  }
  return rewards === undefined
    ? { prompt, completions, ranks: competitionRanks(numbers) }
    : { prompt, completions, ranks: competitionRanks(rewards.map((reward) => -reward)), rewards };
}

function presentColumns(rows: readonly unknown[]): Set<string> {
  const present = new Set<string>();
  for (const row of rows) {
    if (typeof row !== 'object' || row === null || Array.isArray(row)) continue;
    for (const column in row) if ((row as Record<string, unknown>)[column] != null) present.add(column);
  }
  return present;
}

const COLUMNS_NAMED = 12;

function listed(columns: ReadonlySet<string>): string {
  const named = [...columns].slice(0, COLUMNS_NAMED).map((column) => cut(column));
  return [...named, ...(columns.size > COLUMNS_NAMED ? ['…'] : [])].join(', ');
}

function unknownFormat(source: string, rows: readonly unknown[], present: ReadonlySet<string>): DataError {
  for (const [index, row] of rows.entries()) {
    const conversation = Object.entries(row ?? {}).find(([, value]) => isConversation(value));
    if (conversation) return needsChatTemplate(`${source}: row ${index + 1}: ${conversation[0]}`);
  }
  const known = FORMATS.map(({ columns }) => `{${columns.join(', ')}}`).join(', ');
  return new DataError(
    'DATA_UNKNOWN_FORMAT',
    `${source}: expected the columns of one format of ${known}, got {${listed(present)}}; rename the columns (the first row of .csv and .tsv holds their names)`,
  );
}

function rowError(where: string, error: z.ZodError, { kind, columns }: Format): DataError {
  const { path, message } = error.issues[0]!;
  const place = path.length === 0 ? where : `${where}: ${path.map(String).join('.')}`;
  return new DataError(
    'DATA_ROW_INVALID',
    `${place}: ${message} (columns ${columns.join(', ')} make this a ${kind} dataset)`,
    { cause: error },
  );
}

const short = (value: unknown): string =>
  typeof value === 'number' && !Number.isFinite(value)
    ? String(value)
    : cut(JSON.stringify(value) ?? 'nothing');

const cut = (text: string): string => (text.length <= 40 ? text : `${text.slice(0, 40)}…`);

/** A list of messages that was written as text, as JSON or as Python prints it. */
const WRITTEN_MESSAGES = /^\s*\[\s*\{\s*(['"])(?:role|content|from|value)\1\s*:/;

/** Whether a value is a message, a list of messages, or such a list as text. */
function isConversation(value: unknown): boolean {
  if (typeof value === 'string') return WRITTEN_MESSAGES.test(value);
  if (Array.isArray(value)) return value.some((entry) => typeof entry !== 'string' && isConversation(entry));
  if (typeof value !== 'object' || value === null) return false;
  return ('role' in value && 'content' in value) || ('from' in value && 'value' in value);
}

/** @param where names the place, as in `rows.jsonl: row 3: prompt` */
const needsChatTemplate = (where: string): DataError =>
  new DataError(
    'DATA_NEEDS_CHAT_TEMPLATE',
    `${where}: rows are conversations (messages of role and content); plain text columns are needed for now: render them with the model's chat template first`,
  );
