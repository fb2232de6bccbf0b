/** Comparisons that another run recorded: tokens of its policy, and the texts that they are of. */
import type { ModelConfig, Tokenizer } from '@rlhf-streams/model';
import type { ComparisonItem } from '@rlhf-streams/runs';

export type RecordedComparisons = readonly Omit<ComparisonItem, 'split'>[];

interface Encoder {
  /** The tokens of a prompt that was sampled from. */
  prompt(text: string): number[];
  encode(text: string): number[];
  readonly end: number;
}

/**
 * The same texts in the tokens of another model. A completion that its policy ended is ended; one that was cut off
 * stays open, unless it has no text: then nothing but its end can stand for it.
 */
export function encodedAnew(
  recorded: RecordedComparisons,
  recorder: {
    readonly config: Pick<ModelConfig, 'eosTokenId'>;
    readonly tokenizer: Pick<Tokenizer, 'eosId'>;
  },
  { prompt, encode, end }: Encoder,
): RecordedComparisons {
  const stop = recorder.config.eosTokenId ?? recorder.tokenizer.eosId;
  const tokensOf = (text: string, isOver: boolean) => {
    const tokens = encode(text);
    return isOver || tokens.length === 0 ? [...tokens, end] : tokens;
  };
  return recorded.map((comparison) => ({
    ...comparison,
    promptTokens: prompt(comparison.promptText),
    completions: comparison.completions.map((completion) => ({
      ...completion,
      tokens: tokensOf(completion.text, completion.tokens.at(-1) === stop),
    })),
  }));
}
