/** Rows that a model is judged by through the log-probs it gives to texts: multiple choice and paired sentences. */
import { z } from 'zod';
import { expecting, looseRow, type Metadata, metadata, number, text } from './row-schemas.js';

/** A question with its choices. `ranks`: 1 is the best true one, 2 the other true ones, and the greatest the false ones. */
export type QuestionRow = { question: string; choices: string[]; ranks: number[]; metadata?: Metadata };

/** Two sentences that differ in the group they name, of which `more` is the stereotype (CrowS-Pairs: `sent_more`). */
export type SentencesRow = { more: string; less: string; metadata?: Metadata };

const choices = z
  .array(text, { error: expecting('a list of choices, each a string') })
  .min(2, { error: ({ input }) => `expected two choices or more, got ${(input as unknown[]).length}` });
const labels = z.array(number.int(), { error: expecting('a list of 0 and 1') });
const targets = z.object({ choices, labels }, { error: expecting('an object of choices and labels') });
/** The place of the answer from 0, its letter, or its text. */
const answer = z.union([z.number(), z.string()], { error: expecting('a number, a letter or a choice') });

/** Any other column goes along as metadata. */
const rest = (columns: Record<string, unknown>, metadata: Metadata | null | undefined) => {
  const all = { ...metadata, ...columns };
  return Object.keys(all).length > 0 && { metadata: all };
};

type Judged = { choices: readonly string[]; labels: readonly number[] };

/** The ranks of choices that are true (1) or false (0): the first true one is the best. */
function ranksOf(
  { choices, labels }: Judged,
  best: number,
  path: readonly string[],
  context: z.RefinementCtx,
): number[] | undefined {
  const wrong = (message: string) => {
    context.addIssue({ code: 'custom', path: [...path], message });
    return undefined;
  };
  if (labels.length !== choices.length)
    return wrong(`expected a label for each of ${choices.length} choices, got ${labels.length}`);
  const other = labels.find((label) => label !== 0 && label !== 1);
  if (other !== undefined) return wrong(`expected labels 1 (true) and 0 (false), got ${other}`);
  const isTrue = labels.filter((label) => label === 1).length;
  if (isTrue === 0 || isTrue === labels.length)
    return wrong(`expected true and false choices, got ${isTrue === 0 ? 'no true one' : 'true ones alone'}`);
  const isFalse = isTrue > 1 ? 3 : 2;
  return labels.map((label, index) => (label === 0 ? isFalse : index === best ? 1 : 2));
}

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';

function placeOf(answer: string | number, choices: readonly string[]): number {
  if (typeof answer === 'number') return Number.isInteger(answer) && answer in choices ? answer : -1;
  const place = choices.indexOf(answer);
  if (place !== -1) return place;
  // Cells of .csv are texts.
  if (/^\d+$/.test(answer)) return placeOf(Number(answer), choices);
  const letter = answer.length === 1 ? LETTERS.indexOf(answer) : -1;
  return letter < choices.length ? letter : -1;
}

const answered = looseRow({ question: text, choices, answer, metadata }).transform((row, context) => {
  const { question, choices, answer, metadata, ...columns } = row;
  const place = placeOf(answer, choices);
  if (place !== -1) {
    const ranks = choices.map((_, index) => (index === place ? 1 : 2));
    return { question, choices, ranks, ...rest(columns, metadata) };
  }
  const came = JSON.stringify(answer);
  const message = `expected the place of a choice from 0 to ${choices.length - 1}, its letter or its text, got ${came}`;
  context.addIssue({ code: 'custom', path: ['answer'], message });
  return z.NEVER;
});

const labelled = looseRow({ question: text, choices, labels, metadata }).transform((row, context) => {
  const { question, choices, labels, metadata, ...columns } = row;
  const ranks = ranksOf({ choices, labels }, labels.indexOf(1), ['labels'], context);
  return ranks ? { question, choices, ranks, ...rest(columns, metadata) } : z.NEVER;
});

const truthfulQa = looseRow({
  question: text,
  mc1_targets: targets,
  mc2_targets: targets,
  metadata,
}).transform((row, context) => {
  const { question, mc1_targets: mc1, mc2_targets: mc2, metadata, ...columns } = row;
  // The best answer is the true one of MC1; among the choices of MC2, which is where the others are, it is found by its text.
  const best = mc2.choices.indexOf(mc1.choices[mc1.labels.indexOf(1)] ?? '');
  const first = best !== -1 && mc2.labels[best] === 1 ? best : mc2.labels.indexOf(1);
  const ranks = ranksOf(mc2, first, ['mc2_targets', 'labels'], context);
  return ranks ? { question, choices: mc2.choices, ranks, ...rest(columns, metadata) } : z.NEVER;
});

const sentences = looseRow({ sent_more: text, sent_less: text, metadata }).transform(
  ({ sent_more: more, sent_less: less, metadata, ...columns }) => ({
    more,
    less,
    ...rest(columns, metadata),
  }),
);

/** Formats of such rows, for `detectFormat`. */
export const QUESTION_FORMATS = [
  { kind: 'question', columns: ['question', 'mc1_targets', 'mc2_targets'], schema: truthfulQa },
  { kind: 'question', columns: ['question', 'choices', 'answer'], schema: answered },
  { kind: 'question', columns: ['question', 'choices', 'labels'], schema: labelled },
  { kind: 'sentences', columns: ['sent_more', 'sent_less'], schema: sentences },
] as const;
