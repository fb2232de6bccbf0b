/** TRL's dataset formats, of texts and of conversations, recognised by their columns and validated row by row. */
import { z } from 'zod';
import { answersOf } from './answers.js';
import { DataError } from './errors.js';
import { splitImplicitPrompt } from './implicit-prompt.js';
import { type Message, messages, type Said, said, type Tools, tools } from './messages.js';
import { competitionRanks, type PreferencePair, type Ranking } from './preferences.js';
import { QUESTION_FORMATS, type QuestionRow, type SentencesRow } from './questions.js';
import { expecting, type Metadata, metadata, number, row, text } from './row-schemas.js';

export type TextRow = { text: string };
/** `label` 1 is positive, 0 negative. */
export type LabelledRow = { text: string; label: 0 | 1 };
/** What an assistant may call in the conversation of a row. */
type WithTools = { tools?: Tools };
/** A text or a conversation to answer, whose last message is of somebody else. `metadata` is whatever its writer wants to go along. */
export type PromptRow = { prompt: Said; metadata?: Metadata } & WithTools;
/** A whole conversation, whoever has the last word. */
export type ConversationRow = { messages: Message[]; metadata?: Metadata } & WithTools;
/** Prompt and completion are texts, or both are messages. */
export type CompletionRow = { prompt: Said; completion: Said } & WithTools;
/** TRL's unpaired preference: `label` is true for a thumb up, false for a thumb down. */
export type ThumbRow = CompletionRow & { label: boolean };

/**
 * A dataset in one of TRL's formats, or of questions that are judged by log-prob. Rows keep only the columns of their
 * format, and as `kept` those that were asked for by name; questions keep all of their other columns as metadata.
 */
export type Dataset =
  | { kind: 'text'; rows: Kept<TextRow>[] }
  | { kind: 'labelled'; rows: Kept<LabelledRow>[] }
  | { kind: 'prompt'; rows: Kept<PromptRow>[] }
  | { kind: 'conversation'; rows: Kept<ConversationRow>[] }
  /** `notThumbs`: why they are no thumbs, where a row has a label that is no thumb. */
  | { kind: 'completion'; rows: Kept<CompletionRow>[]; notThumbs?: string }
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

const completions = z
  .array(said, { error: expecting('a list of strings, or of lists of messages') })
  .min(2, { error: ({ input }) => `expected two completions or more, got ${(input as unknown[]).length}` });
const label01 = label.transform((label) => label === 1);

const conversations = (column: string): Format => ({
  kind: 'conversation',
  columns: [column],
  schema: row({ [column]: messages, tools, metadata }).transform(
    ({ [column]: messages, ...rest }) => withoutAbsent({ messages, ...rest }) as ConversationRow,
  ),
});

/** A dataset has the first of these formats whose columns are all there. */
const FORMATS: readonly Format[] = [
  {
    kind: 'preference',
    columns: ['prompt', 'chosen', 'rejected'],
    schema: row({ prompt: said, chosen: said, rejected: said, margin, tools }).transform(asPair),
  },
  {
    kind: 'preference',
    columns: ['chosen', 'rejected'],
    schema: row({ chosen: said, rejected: said, margin, tools }).transform(asPair),
  },
  {
    kind: 'ranking',
    columns: ['prompt', 'completions'],
    schema: row({ prompt: said, completions, ranks: numbers, rewards: numbers, tools }).transform(
      withOneOrder,
    ),
  },
  {
    kind: 'ranking',
    columns: ['completions', 'ranks'],
    schema: row({ completions, ranks: numbers, rewards: numbers, tools }).transform(withOneOrder),
  },
  {
    kind: 'ranking',
    columns: ['completions', 'rewards'],
    schema: row({ completions, ranks: numbers, rewards: numbers, tools }).transform(withOneOrder),
  },
  {
    kind: 'thumb',
    columns: ['prompt', 'completion', 'label'],
    fits: (rows) => rows.every(hasLabelOrNone),
    schema: row({ prompt: said, completion: said, label: label01, tools }).transform(withAnswer),
  },
  {
    kind: 'completion',
    columns: ['prompt', 'completion'],
    schema: row({ prompt: said, completion: said, tools }).transform(withAnswer),
  },
  { kind: 'labelled', columns: ['text', 'label'], schema: row({ text, label }) },
  { kind: 'text', columns: ['text'], schema: row({ text }) },
  {
    kind: 'prompt',
    columns: ['prompt'],
    schema: row({ prompt: said, tools, metadata }).transform(withUnanswered),
  },
  ...['messages', 'conversations', 'conversation'].map(conversations),
  ...QUESTION_FORMATS,
];

/**
 * Recognises a dataset's format by the columns in which any row has a value (null counts as none), and validates every
 * row against it.
 * A `{chosen, rejected}` dataset comes out as `preference`, its prompt cut from the common prefix.
 *
 * @param options.source the file's name, for messages
 * @param options.where names the row of an index, from 0; default: the source and its number, from 1
 * @param options.keep other columns that rows keep, as `kept`
 * @throws DATA_EMPTY, DATA_UNKNOWN_FORMAT, DATA_ROW_INVALID (with row number from 1, column,
 *   what was expected and what came), DATA_COLUMN_MISSING
 */
export function detectFormat(
  rows: readonly unknown[],
  options: { source?: string; where?: (index: number) => string; keep?: readonly string[] } = {},
): Dataset {
  const { source = 'dataset', keep = [] } = options;
  const where = options.where ?? ((index: number) => `${source}: row ${index + 1}`);
  if (rows.length === 0) {
    throw new DataError('DATA_EMPTY', `${source}: expected at least one row, but there is none`);
  }
  const present = presentColumns(rows);
  requireColumns(source, keep, present);
  const format = FORMATS.find(
    ({ columns, fits }) => columns.every((column) => present.has(column)) && (!fits || fits(rows)),
  );
  if (format === undefined) throw unknownFormat(source, present);
  const validated = rows.map((row, index) => {
    const result = format.schema.safeParse(row);
    if (result.success) return withKept(result.data as object, row as Record<string, unknown>, keep);
    throw rowError(where(index), result.error, format);
  });
  requireOneForm(where, validated, format);
  requireNoPromptTwice(where, validated);
  const notThumbs = format.kind === 'completion' ? otherLabel(where, rows) : undefined;
  return { kind: format.kind, rows: validated, ...(notThumbs && { notThumbs }) } as Dataset;
}

type Where = (index: number) => string;

/** Texts and conversations become tokens in different ways: rows of one dataset are all the one or all the other. */
function requireOneForm(where: Where, rows: readonly object[], format: Format): void {
  if (!('prompt' in (rows[0] ?? {}))) return;
  const isChat = (row: object) => typeof (row as { prompt: Said }).prompt !== 'string';
  const other = rows.findIndex((row) => isChat(row) !== isChat(rows[0]!));
  if (other === -1) return;
  const [first, came] = isChat(rows[0]!) ? ['messages', 'a text'] : ['texts', 'messages'];
  throw new DataError(
    'DATA_ROW_INVALID',
    `${where(other)}: ${format.columns[0]}: expected ${first} as in the rows before, got ${came}; write all rows alike`,
  );
}

/** A shorter one may well come twice, as in `no` and `no, no`. */
const LONG_PROMPT = 20;

/** Texts that all begin with their prompt would follow it twice. */
function requireNoPromptTwice(where: Where, rows: readonly object[]): void {
  const repeats = (row: object) => {
    const { prompt, chosen, rejected, completion, completions } = row as Record<string, Said> & {
      completions?: Said[];
    };
    const said = [chosen, rejected, completion, ...(completions ?? [])].filter((each) => each !== undefined);
    return (
      typeof prompt === 'string' &&
      prompt.length >= LONG_PROMPT &&
      said.length > 0 &&
      said.every((each) => typeof each === 'string' && each.startsWith(prompt) && each !== prompt)
    );
  };
  if (!rows.every(repeats)) return;
  const [first] = rows as [object];
  const column = ['chosen', 'completion', 'completions'].find((name) => name in first)!;
  throw new DataError(
    'DATA_ROW_INVALID',
    `${where(0)}: ${column}: expected what follows the prompt, got a text that begins with the prompt itself, as in every row: take it off the front${column === 'chosen' ? ', or leave the prompt column out: it is what chosen and rejected have in common' : ''}`,
  );
}

/** Why completions with labels are not thumbs up and down. */
function otherLabel(where: Where, rows: readonly unknown[]): string | undefined {
  const at = rows.findIndex((row) => !hasLabelOrNone(row));
  if (at === -1) return undefined;
  const { label: came } = rows[at] as { label: unknown };
  return `${where(at)}: label: expected true or false, 1 or 0, for a thumb up or down, got ${short(came)}; rewrite column label so`;
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

function withoutAbsent<Row extends object>(row: Row): Row {
  const there = Object.entries(row).filter(([, value]) => value !== undefined && value !== null);
  return Object.fromEntries(there) as Row;
}

const issueIn =
  (context: z.RefinementCtx) =>
  (path: readonly (string | number)[], message: string): undefined => {
    context.addIssue({ code: 'custom', path: [...path], message });
    return undefined;
  };

type Nullish<T> = T | null | undefined;
type Beside = { tools?: Tools | undefined };

function withUnanswered(
  { prompt, ...rest }: { prompt: Said; metadata?: Nullish<Metadata> } & Beside,
  context: z.RefinementCtx,
) {
  if (typeof prompt === 'string' || prompt.at(-1)?.role !== 'assistant')
    return withoutAbsent({ prompt, ...rest });
  issueIn(context)(
    ['prompt'],
    "expected a message to answer last, got the assistant's own; name the column messages, and what it says last is left out",
  );
  return z.NEVER;
}

function withAnswer<Row extends { prompt: Said; completion: Said } & Beside>(
  row: Row,
  context: z.RefinementCtx,
) {
  const answers = answersOf(row.prompt, [row.completion], [['completion']], issueIn(context));
  if (!answers) return z.NEVER;
  return withoutAbsent({ ...row, prompt: answers.prompt, completion: answers.completions[0]! });
}

type Pair = { prompt?: Said; chosen: Said; rejected: Said; margin?: number | undefined } & Beside;

function asPair({ prompt, chosen, rejected, margin, tools }: Pair, context: z.RefinementCtx): PreferencePair {
  const rest = { margin, tools };
  if (prompt === undefined && typeof chosen === 'string' && typeof rejected === 'string') {
    const split = splitImplicitPrompt(chosen, rejected);
    // Equal sides are a pair without a preference, not a wrong column: whoever reads the pair deals with that.
    if (split !== undefined || chosen === rejected)
      return withoutAbsent({ ...(split ?? { prompt: '', chosen, rejected }), ...rest }) as PreferencePair;
    issueIn(context)(
      ['chosen'],
      'expected a prefix in common with rejected, to be the prompt; add a prompt column',
    );
    return z.NEVER;
  }
  const answers = answersOf(prompt, [chosen, rejected], [['chosen'], ['rejected']], issueIn(context));
  if (!answers) return z.NEVER;
  const [better, worse] = answers.completions as [Said, Said];
  return withoutAbsent({
    prompt: answers.prompt,
    chosen: better,
    rejected: worse,
    ...rest,
  }) as PreferencePair;
}

type UnorderedRanking = {
  prompt?: Said;
  completions: Said[];
  ranks?: number[] | undefined;
  rewards?: number[] | undefined;
} & Beside;

function withOneOrder(row: UnorderedRanking, context: z.RefinementCtx): Ranking {
  const { ranks, rewards, tools } = row;
  const issue = issueIn(context);
  const numbers = ranks ?? rewards;
  if (numbers === undefined || (ranks !== undefined && rewards !== undefined)) {
    issue(
      [],
      `expected either ranks (less is better) or rewards (more is better), got ${ranks ? 'both' : 'neither'}`,
    );
    return z.NEVER;
  }
  if (numbers.length !== row.completions.length) {
    issue(
      [ranks === undefined ? 'rewards' : 'ranks'],
      `expected one number for each of ${row.completions.length} completions, got ${numbers.length}`,
    );
    return z.NEVER;
  }
  if (row.prompt === undefined && row.completions.some((completion) => typeof completion === 'string')) {
    issue(['prompt'], 'expected what the completions answer, got nothing; add a prompt column');
    return z.NEVER;
  }
  const paths = row.completions.map((_, i) => ['completions', i]);
  const answers = answersOf(row.prompt, row.completions, paths, issue);
  if (!answers) return z.NEVER;
  const order =
    rewards === undefined
      ? { ranks: competitionRanks(numbers) }
      : { ranks: competitionRanks(rewards.map((reward) => -reward)), rewards };
  return withoutAbsent({ ...answers, ...order, tools }) as Ranking;
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

function unknownFormat(source: string, present: ReadonlySet<string>): DataError {
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
