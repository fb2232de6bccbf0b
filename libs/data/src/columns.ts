/** TRL's dataset formats, recognised by their columns and validated row by row. */
import { z } from 'zod';
import { type Content, type Message, messagesSchema } from './content.js';
import { DataError } from './errors.js';
import { splitImplicitMessages, splitImplicitPrompt } from './implicit-prompt.js';
import type { PreferencePair, Ranking } from './preferences.js';

export type TextRow = { text: string };
/** `label` 1 is positive, 0 negative. */
export type LabelledRow = { text: string; label: 0 | 1 };
export type MessagesRow = { messages: Message[] };
export type PromptRow = { prompt: Content };
export type CompletionRow = { prompt: Content; completion: Content };

/**
 * A dataset in one of TRL's formats. Rows keep only the columns of their format. `conversational` says whether
 * prompts and completions are messages (in every row) or strings (in every row).
 */
export type Dataset =
  | { kind: 'text'; rows: TextRow[] }
  | { kind: 'labelled'; rows: LabelledRow[] }
  | { kind: 'messages'; rows: MessagesRow[] }
  | { kind: 'prompt'; conversational: boolean; rows: PromptRow[] }
  | { kind: 'completion'; conversational: boolean; rows: CompletionRow[] }
  | { kind: 'preference'; conversational: boolean; rows: PreferencePair[] }
  | { kind: 'ranking'; conversational: boolean; rows: Ranking[] };

interface Format {
  kind: Dataset['kind'];
  columns: readonly string[];
  schema: (content: z.ZodType<Content>) => z.ZodType<unknown>;
  /** The column whose type in the first row says whether the dataset is conversational. */
  contentColumn?: string;
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

const labelSchema = z.unknown().transform((value, context): 0 | 1 => {
  const label = LABELS.get(value);
  if (label !== undefined) return label;
  context.addIssue({
    code: 'custom',
    message: `expected 0 or 1, a boolean, "neg" or "pos", "negative" or "positive", got ${short(value)}`,
  });
  return z.NEVER;
});

const marginSchema = z
  .number()
  .nullish()
  .transform((margin) => margin ?? undefined);

const scoresSchema = z
  .array(z.number())
  .nullish()
  .transform((scores) => scores ?? undefined);

/** In order: the first format whose columns are all there is the dataset's. */
const FORMATS: readonly Format[] = [
  {
    kind: 'preference',
    columns: ['prompt', 'chosen', 'rejected'],
    contentColumn: 'prompt',
    schema: (content) =>
      z
        .object({ prompt: content, chosen: content, rejected: content, margin: marginSchema })
        .transform(withoutAbsentMargin),
  },
  {
    kind: 'preference',
    columns: ['chosen', 'rejected'],
    contentColumn: 'chosen',
    schema: (content) =>
      z.object({ chosen: content, rejected: content, margin: marginSchema }).transform(withImplicitPrompt),
  },
  {
    kind: 'ranking',
    columns: ['prompt', 'completions'],
    contentColumn: 'prompt',
    schema: (content) =>
      z
        .object({
          prompt: content,
          completions: z.array(content).min(2),
          ranks: scoresSchema,
          rewards: scoresSchema,
        })
        .transform(withOneOrder),
  },
  {
    kind: 'completion',
    columns: ['prompt', 'completion'],
    contentColumn: 'prompt',
    schema: (content) => z.object({ prompt: content, completion: content }),
  },
  { kind: 'messages', columns: ['messages'], schema: () => z.object({ messages: messagesSchema }) },
  {
    kind: 'labelled',
    columns: ['text', 'label'],
    schema: () => z.object({ text: z.string(), label: labelSchema }),
  },
  { kind: 'text', columns: ['text'], schema: () => z.object({ text: z.string() }) },
  {
    kind: 'prompt',
    columns: ['prompt'],
    contentColumn: 'prompt',
    schema: (content) => z.object({ prompt: content }),
  },
];

/**
 * Recognises the format by the columns of the first row (a null column counts as absent) and validates every row
 * against it. A `{chosen, rejected}` dataset comes out as `preference`, its prompt cut from the common prefix.
 *
 * @param options.source the file's name, for messages
 * @throws DATA_EMPTY, DATA_UNKNOWN_FORMAT, DATA_ROW_INVALID (with row number from 1, path and what was expected)
 */
export function detectFormat(rows: readonly unknown[], options: { source?: string } = {}): Dataset {
  const source = options.source ?? 'dataset';
  if (rows.length === 0) {
    throw new DataError('DATA_EMPTY', `${source}: expected at least one row, but there is none`);
  }
  const present = presentColumns(rows[0]);
  const format = FORMATS.find(({ columns }) => columns.every((column) => present.has(column)));
  if (format === undefined) {
    const known = FORMATS.map(({ columns }) => `{${columns.join(', ')}}`).join(', ');
    throw new DataError(
      'DATA_UNKNOWN_FORMAT',
      `${source}: expected the columns of one format of ${known}, got {${[...present.keys()].join(', ')}}; rename the columns`,
    );
  }
  const conversational =
    format.contentColumn !== undefined && Array.isArray(present.get(format.contentColumn));
  const content: z.ZodType<Content> = conversational ? messagesSchema : z.string();
  const schema = format.schema(content);
  const validated = rows.map((row, index) => {
    const result = schema.safeParse(row);
    if (result.success) return result.data;
    throw rowError(`${source}: row ${index + 1}`, result.error, format, conversational);
  });
  return {
    kind: format.kind,
    ...(format.contentColumn === undefined ? {} : { conversational }),
    rows: validated,
  } as Dataset;
}

type ImplicitPair = { chosen: Content; rejected: Content; margin?: number | undefined };

function withoutAbsentMargin({ margin, ...pair }: ImplicitPair & { prompt: Content }): PreferencePair {
  return margin === undefined ? pair : { ...pair, margin };
}

function withImplicitPrompt(row: ImplicitPair, context: z.RefinementCtx): PreferencePair {
  const { chosen, rejected, margin } = row;
  const split =
    typeof chosen === 'string'
      ? splitImplicitPrompt(chosen, rejected as string)
      : splitImplicitMessages(chosen, rejected as Message[]);
  if (split !== undefined) return withoutAbsentMargin({ ...split, margin });
  context.addIssue({
    code: 'custom',
    path: ['chosen'],
    message: 'expected a prefix in common with rejected, to be the prompt; add a prompt column',
  });
  return z.NEVER;
}

type UnorderedRanking = {
  prompt: Content;
  completions: Content[];
  ranks?: number[] | undefined;
  rewards?: number[] | undefined;
};

function withOneOrder(row: UnorderedRanking, context: z.RefinementCtx): Ranking {
  const { prompt, completions, ranks, rewards } = row;
  const scores = ranks ?? rewards;
  if (scores === undefined || (ranks !== undefined && rewards !== undefined)) {
    context.addIssue({
      code: 'custom',
      message: 'expected either ranks (1 is best) or rewards (more is better)',
    });
    return z.NEVER;
  }
  const column = ranks === undefined ? 'rewards' : 'ranks';
  if (scores.length !== completions.length) {
    context.addIssue({
      code: 'custom',
      path: [column],
      message: `expected one number for each of ${completions.length} completions, got ${scores.length}`,
    });
    return z.NEVER;
  }
  return ranks === undefined ? { prompt, completions, rewards: scores } : { prompt, completions, ranks };
}

function presentColumns(row: unknown): Map<string, unknown> {
  const columns = typeof row === 'object' && row !== null && !Array.isArray(row) ? Object.entries(row) : [];
  return new Map(columns.filter(([, value]) => value !== null && value !== undefined));
}

function rowError(where: string, error: z.ZodError, format: Format, conversational: boolean): DataError {
  const { path, message } = error.issues[0]!;
  const place = path.length === 0 ? where : `${where}: ${path.map(String).join('.')}`;
  const content = conversational ? 'messages {role, content}' : 'strings';
  const shape = format.contentColumn === undefined ? '' : `, prompts and completions all ${content}`;
  return new DataError(
    'DATA_ROW_INVALID',
    `${place}: ${message} (the first row makes this a ${format.kind} dataset${shape})`,
    { cause: error },
  );
}

function short(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= 40 ? text : `${text.slice(0, 40)}…`;
}
