/** Labels as the feedback that runs train on. */
import { createHash } from 'node:crypto';
import { type Label, labelFlags } from './label.js';
import { byLabelerAndPrompt } from './opinions.js';

/** A ranking of one labeler: data of `feedback.recorded`, and a row of a file that `data` of a run may name. */
export interface LabeledComparison {
  readonly feedback: string;
  readonly collection: string;
  readonly prompt: string;
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
