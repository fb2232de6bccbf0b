/** Preferences between completions: rankings of K, and the pairs that follow from them. */
import type { Content } from './content.js';

export interface PreferencePair {
  prompt: Content;
  chosen: Content;
  rejected: Content;
  /** By how much the chosen reward should exceed the rejected one, in reward units. */
  margin?: number;
}

/** K completions of one prompt, in order of `ranks` (1 is best; equal ranks are ties) or of `rewards` (more is better). */
export type Ranking = { prompt: Content; completions: Content[] } & (
  | { ranks: number[]; rewards?: undefined }
  | { rewards: number[]; ranks?: undefined }
);

export interface PairOptions {
  /** Give each pair the difference of its rewards as margin (Llama 2); rankings by ranks have none. */
  margin?: boolean;
}

/** Indices of the completions, best first; ties keep their order. */
export function bestFirst(ranking: Ranking): number[] {
  const goodness = goodnessOf(ranking);
  return ranking.completions.map((_, index) => index).sort((a, b) => goodness[b]! - goodness[a]!);
}

/** Every pair of which one side is better: C(K,2) without ties (Ouyang 2022), best first. Ties are skipped. */
export function allPairs(ranking: Ranking, options: PairOptions = {}): PreferencePair[] {
  const order = bestFirst(ranking);
  return order.flatMap((better, place) =>
    order.slice(place + 1).flatMap((worse) => pairOf(ranking, better, worse, options)),
  );
}

/** The best completion against each worse one (Song 2024). Of several best, the first; its ties are skipped. */
export function bestVersusRest(ranking: Ranking, options: PairOptions = {}): PreferencePair[] {
  const [best, ...rest] = bestFirst(ranking);
  return rest.flatMap((worse) => pairOf(ranking, best!, worse, options));
}

/** No pair, if the two tie. */
function pairOf(ranking: Ranking, better: number, worse: number, options: PairOptions): PreferencePair[] {
  const goodness = goodnessOf(ranking);
  const difference = goodness[better]! - goodness[worse]!;
  if (!(difference > 0)) return [];
  const pair: PreferencePair = {
    prompt: ranking.prompt,
    chosen: ranking.completions[better]!,
    rejected: ranking.completions[worse]!,
  };
  return [options.margin && ranking.rewards ? { ...pair, margin: difference } : pair];
}

function goodnessOf(ranking: Ranking): number[] {
  return ranking.rewards ?? ranking.ranks.map((rank) => -rank);
}
