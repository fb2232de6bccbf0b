/** The log-prob of a token, beside those of the tokens that were likeliest in its position. */
export interface TokenLogprobs {
  /** In nats, under the softmax of logits / temperature over the whole vocabulary, before top-k and top-p. */
  readonly logprob: number;
  /** The likeliest tokens, the likeliest first, lowest ids first among equals. */
  readonly likeliest: readonly { readonly token: number; readonly logprob: number }[];
}

/**
 * The log-probs of a token and of the `count` likeliest ones, computed in float64.
 * @param logits [V], one row, finite
 */
export function tokenLogprobs(
  logits: Float32Array,
  token: number,
  count: number,
  temperature = 1,
): TokenLogprobs {
  const best: number[] = [];
  for (let candidate = 0; candidate < logits.length; candidate++) {
    if (best.length === count && !(logits[candidate]! > logits[best.at(-1)!]!)) continue;
    const rank = best.findIndex((other) => logits[candidate]! > logits[other]!);
    best.splice(rank < 0 ? best.length : rank, 0, candidate);
    if (best.length > count) best.pop();
  }
  const max = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const total = logits.reduce((sum, logit) => sum + Math.exp((logit - max) / temperature), 0);
  const logprobOf = (id: number) => (logits[id]! - max) / temperature - Math.log(total);
  return {
    logprob: logprobOf(token),
    likeliest: best.map((id) => ({ token: id, logprob: logprobOf(id) })),
  };
}
