/** Ranked completions of a prompt as comparisons that are learned from, or judged. */
import type { Dataset, Said, Tools } from '@rlhf-streams/data';
import { type ComparisonItem, type DatasetSpec, MOST_COMPLETIONS } from '@rlhf-streams/runs';
import type { Outcome, Reason } from './account.js';
import { isTalk } from './conversations.js';
import type { Encoder } from './encoder.js';
import {
  ALL_TIED,
  EMPTY_COMPLETION,
  fitsRecord,
  isEmpty,
  type Kept,
  type Limit,
  longer,
  nothingLost,
  TOO_LARGE,
  TOO_MANY,
  type Unsplit,
  unfit,
} from './reasons.js';

/** Ranked completions of a prompt; rank 1 is the best. */
export interface RankedTexts {
  readonly prompt: Said;
  readonly tools?: Tools | undefined;
  readonly completions: readonly { readonly text: Said; readonly score?: number }[];
  readonly ranks: readonly number[];
  readonly margin?: number | undefined;
  readonly labeler: string;
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
  readonly kept?: Kept['kept'];
  /** Whether completions end, as those do that are learned from; choices go on. Default true. */
  readonly ends?: boolean;
}

export function comparisons(
  ranked: readonly (RankedTexts | { readonly dropped: Reason })[],
  encoder: Encoder,
  limit: Limit,
): Outcome<Unsplit<ComparisonItem>>[] {
  return ranked.map((row) => {
    if ('dropped' in row) return row;
    const { prompt, tools, completions, ranks, margin, labeler, metadata, kept, ends = true } = row;
    const texts = completions.map(({ text }) => text);
    const answers = encoder.answers(prompt, texts, { tools, ends });
    if ('dropped' in answers) return answers;
    const item = {
      promptText: answers.promptText,
      ...(isTalk(prompt) && { messages: prompt }),
      ...(tools && { tools }),
      promptTokens: answers.promptTokens,
      completions: answers.completions.map((encoded, i) => {
        const { text: _, ...rest } = completions[i]!;
        return { ...encoded, ...rest };
      }),
      ranks: [...ranks],
      ...(margin !== undefined && { margin }),
      labeler,
      ...(metadata && { metadata }),
    };
    const dropped =
      withoutPreference(item) ?? (texts.some(isEmpty) ? EMPTY_COMPLETION : unfitting(item, limit));
    if (dropped) return { dropped };
    const outcome = { item, notes: answers.notes };
    return kept
      ? { ...outcome, item: { ...item, metadata: { ...metadata, ...kept } }, decides: item }
      : outcome;
  });
}

/** The reason for which nothing can be learned from a comparison, if there is one: ranks or completions do not differ. */
export function withoutPreference({ completions, ranks }: Unsplit<ComparisonItem>): Reason | undefined {
  if (ranks.every((rank) => rank === ranks[0])) return ALL_TIED;
  const [first] = completions;
  const tokens = first!.tokens.join();
  if (completions.some((completion) => completion.tokens.join() !== tokens)) return undefined;
  const alike = completions.every(({ text }) => text === first!.text) ? 'text' : 'tokens';
  const sides = completions.length === 2 ? 'chosen and rejected' : 'all completions';
  return nothingLost(`no preference: ${sides} are the same ${alike}`);
}

/** The reason for which the model or the log cannot take a comparison, if there is one. */
export function unfitting(item: Unsplit<ComparisonItem>, limit: Limit): Reason | undefined {
  const { promptTokens, completions } = item;
  if (completions.length > MOST_COMPLETIONS) return TOO_MANY;
  if (completions.some(({ tokens }) => promptTokens.length + tokens.length > limit.tokens))
    return longer(limit);
  const tokens = completions.reduce((sum, { tokens }) => sum + tokens.length, 0);
  return fitsRecord(item, tokens) ? undefined : TOO_LARGE;
}

export function rankings(dataset: Dataset, { choices }: Pick<DatasetSpec, 'choices'>): RankedTexts[] {
  const labeler = 'dataset';
  switch (dataset.kind) {
    case 'ranking':
      return dataset.rows.map(({ prompt, tools, completions, ranks, rewards, kept }) => ({
        prompt,
        tools,
        completions: completions.map((text, i) => ({ text, ...(rewards && { score: rewards[i]! }) })),
        ranks,
        labeler,
        kept,
      }));
    case 'preference':
      return dataset.rows.map(({ prompt, tools, chosen, rejected, margin, kept }) => ({
        prompt,
        tools,
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
