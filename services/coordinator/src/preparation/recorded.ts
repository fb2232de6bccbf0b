/** Comparisons that another run recorded, as texts and as tokens of its policy. */
import type { EncodedPrompt } from '@rlhf-streams/model';
import type { ComparisonItem } from '@rlhf-streams/runs';

export type RecordedComparisons = readonly Omit<ComparisonItem, 'split'>[];

interface Encoder {
  /** The tokens of a prompt that was sampled from. */
  prompt(text: string): Pick<EncodedPrompt, 'tokens'>;
  encode(text: string): number[];
  readonly end: number;
}

/**
 * The same texts in the tokens of another model. A completion that its policy ended gets the end token. One that was cut
 * off does not, unless it has no text: a completion needs at least one token.
 */
export function encodedAnew(
  recorded: RecordedComparisons,
  /** The policy that gave the completions, and the tokens at any of which they end. */
  recorder: { readonly endTokens: readonly number[] },
  { prompt, encode, end }: Encoder,
): RecordedComparisons {
  const isEnd = (token: number | undefined) => token !== undefined && recorder.endTokens.includes(token);
  const tokensOf = (text: string, isOver: boolean) => {
    const tokens = encode(text);
    return isOver || tokens.length === 0 ? [...tokens, end] : tokens;
  };
  return recorded.map((comparison) => ({
    ...comparison,
    promptTokens: prompt(comparison.promptText).tokens,
    completions: comparison.completions.map((completion) => ({
      ...completion,
      tokens: tokensOf(completion.text, isEnd(completion.tokens.at(-1))),
    })),
  }));
}
