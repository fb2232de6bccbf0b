/** Comparisons that another run recorded, as texts and as tokens of its policy. */
import type { ModelConfig, Tokenizer } from '@rlhf-streams/model';
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
  recorder: {
    readonly config: Pick<ModelConfig, 'eosTokenId'>;
    readonly tokenizer: Pick<Tokenizer, 'eosId'>;
  },
  { prompt, encode, end }: Pick<Encoder, 'prompt' | 'encode' | 'end'>,
): (RecordedComparisons[number] | { readonly dropped: Reason })[] {
  const stop = recorder.config.eosTokenId ?? recorder.tokenizer.eosId;
  const tokensOf = (text: string, isOver: boolean) => {
    const tokens = encode(text);
    return isOver || tokens.length === 0 ? [...tokens, end] : tokens;
  };
  return recorded.map((comparison) => {
    const asked = prompt(comparison.messages ?? comparison.promptText, comparison.tools);
    if ('dropped' in asked) return asked;
    return {
      ...comparison,
      promptText: asked.text,
      promptTokens: asked.tokens,
      completions: comparison.completions.map((completion) => ({
        ...completion,
        tokens: tokensOf(completion.text, completion.tokens.at(-1) === stop),
      })),
    };
  });
}
