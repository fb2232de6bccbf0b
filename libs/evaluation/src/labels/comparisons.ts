/** Labels as the feedback that runs train on, and back. */
import { createHash } from 'node:crypto';
import { type Label, labelFlags } from './label.js';
import { byLabelerAndPrompt } from './opinions.js';

/** A ranking of one labeler: data of `feedback.recorded`, and a row of a file that `data` of a run may name. */
export interface LabeledComparison {
  readonly feedback: string;
  readonly collection: string;
  readonly prompt: Label['prompt'];
  readonly completions: readonly string[];
  readonly ranks: readonly number[];
  readonly labeler: string;
  readonly metadata: {
    readonly [field: string]: unknown;
    /** What else the labeler said of each completion, in the order of `completions`. */
    readonly labels: readonly Readonly<Record<string, unknown>>[];
  };
}

const OF_COMPARISONS = ['labeler_group', 'language', 'use_case'] as const;
const OF_COMPLETIONS = ['policy', 'overall_quality', ...labelFlags] as const;

/**
 * The rankings of labelers who ranked two completions of a prompt at least, with all other labels as metadata. Ids follow
 * from labeler and prompt, so that what is published twice counts once.
 */
export function comparisonsOf(labels: readonly Label[], collection: string): LabeledComparison[] {
  return [...byLabelerAndPrompt(labels)].flatMap((judged): LabeledComparison[] => {
    const ranked = judged.filter(({ rank }) => rank !== undefined);
    if (ranked.length < 2) return [];
    const { labeler, prompt } = ranked[0]!;
    return [
      {
        feedback: createHash('sha256')
          .update(JSON.stringify([labeler, prompt]))
          .digest('hex')
          .slice(0, 32),
        collection,
        prompt,
        completions: ranked.map(({ completion }) => completion),
        ranks: ranked.map(({ rank }) => rank!),
        labeler,
        metadata: {
          ...fieldsOf(ranked[0]!, OF_COMPARISONS),
          labels: ranked.map((label) => fieldsOf(label, OF_COMPLETIONS)),
        },
      },
    ];
  });
}

const fieldsOf = (label: Label, fields: readonly string[]): Record<string, unknown> =>
  Object.fromEntries(fields.flatMap((field) => (label[field] === undefined ? [] : [[field, label[field]]])));

/** A list that is not as long as that of the completions. */
export interface Unequal {
  readonly column: string;
  readonly expected: number;
  readonly got: number;
}

/** The rows of labels that a row of feedback is made of, one a completion; a row of labels is returned as it is. */
export function labelRowsOf(row: unknown): readonly unknown[] | Unequal {
  if (!isRecord(row)) return [row];
  const { completions, ranks, metadata, feedback: _, collection: __, ...others } = row;
  const { labels, ...fields } = isRecord(metadata) ? metadata : {};
  if (!Array.isArray(completions) && !Array.isArray(labels)) return [row];
  const texts: readonly unknown[] = Array.isArray(completions) ? completions : [row.completion];
  for (const [column, list] of Object.entries({ ranks, 'metadata.labels': labels }))
    if (Array.isArray(list) && list.length !== texts.length)
      return { column, expected: texts.length, got: list.length };
  return texts.map((completion, i) => ({
    ...fields,
    ...others,
    ...(Array.isArray(ranks) && { rank: ranks[i] }),
    ...(Array.isArray(labels) && isRecord(labels[i]) && labels[i]),
    completion,
  }));
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
