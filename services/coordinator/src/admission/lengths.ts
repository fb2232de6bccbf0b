/** How long the sequences of a run's items are, in the tokens of its models. */
import type { ModelConfig } from '@rlhf-streams/model';
import type { DataSpec, PromptItem, RunItem } from '@rlhf-streams/runs';

/** Tokens of the longest sequence that the run's model is trained on, or produces, from the items of a dataset. */
export function longestSequence(
  data: DataSpec,
  items: readonly RunItem[],
  { contextLength }: Pick<ModelConfig, 'contextLength'>,
): number {
  const generated = data.kind === 'prompts' ? data.sampling.maxNewTokens : 0;
  let longest = 0;
  for (const item of items) {
    const given = 'completion' in item ? item.completion?.tokens.length : undefined;
    longest = Math.max(longest, lengthOf(item) + (given ?? generated));
  }
  return Math.min(longest, contextLength);
}

/** The most sequences that an item is made of: the completions of a comparison. */
export const mostSequences = (items: readonly RunItem[]): number =>
  items.reduce((most, item) => Math.max(most, 'completions' in item ? item.completions.length : 1), 1);

function lengthOf(item: RunItem): number {
  if ('completions' in item) {
    const completion = item.completions.reduce((most, { tokens }) => Math.max(most, tokens.length), 0);
    return item.promptTokens.length + completion;
  }
  if ('mismatched' in item)
    return item.promptTokens.length + Math.max(item.tokens.length, item.mismatched.length);
  return 'promptTokens' in item ? item.promptTokens.length + item.tokens.length : item.tokens.length;
}

/** Tokens of the shortest prompt as a scorer reads it, begun as its texts are; undefined without prompts. */
export function shortestPrompt(
  items: readonly RunItem[],
  encode: (item: Pick<PromptItem, 'text' | 'messages' | 'tools' | 'tokens'>) => readonly number[],
): number | undefined {
  let shortest: number | undefined;
  for (const item of items) {
    if (!('text' in item)) continue;
    const { length } = encode(item);
    if (shortest === undefined || length < shortest) shortest = length;
  }
  return shortest;
}
