/** Comparisons that another run recorded, as texts and as tokens of its policy. */
import type { ComparisonItem } from '@rlhf-streams/runs';
import type { Reason } from './account.js';
import type { Encoder } from './encoder.js';

export type RecordedComparisons = readonly Omit<ComparisonItem, 'split'>[];

/**
 * The same texts in the tokens of another model, conversations by its own chat template. A completion that its policy ended gets the end token. One that was cut
 * off does not, unless it has no text: a completion needs at least one token.
 */
export function encodedAnew(
  recorded: RecordedComparisons,
  /** The policy that gave the completions, and the tokens at any of which they end. */
  recorder: { readonly endTokens: readonly number[] },
  encoder: Pick<Encoder, 'answers' | 'prompt' | 'encode' | 'end'>,
): (RecordedComparisons[number] | { readonly dropped: Reason })[] {
  const isEnd = (token: number | undefined) => token !== undefined && recorder.endTokens.includes(token);
  return recorded.map((comparison) => {
    const { messages, tools, promptText, completions } = comparison;
    const read = messages
      ? encoder.answers(
          messages,
          completions.map(({ text }) => [{ role: 'assistant', content: text }]),
          { tools },
        )
      : textsIn(encoder, promptText, completions);
    if ('dropped' in read) return read;
    return {
      ...comparison,
      promptText: read.promptText,
      promptTokens: read.promptTokens,
      completions: completions.map((completion, i) => {
        const { tokens } = read.completions[i]!;
        const isOver = isEnd(completion.tokens.at(-1)) || tokens.length === 1;
        return { ...completion, tokens: isOver ? tokens : tokens.slice(0, -1) };
      }),
    };
  });
}

/** A prompt that was sampled from, which is one token at least, and its completions with their end. */
function textsIn(
  { prompt, encode, end }: Pick<Encoder, 'prompt' | 'encode' | 'end'>,
  promptText: string,
  completions: RecordedComparisons[number]['completions'],
) {
  const asked = prompt(promptText);
  if ('dropped' in asked) return asked;
  return {
    promptText,
    promptTokens: asked.tokens,
    completions: completions.map(({ text }) => ({
      tokens: [...encode(text, { continues: promptText !== '' }), end],
    })),
  };
}
