/** Rollouts as comparisons: the samples of a prompt, ranked. */
import { scoreRanks } from '@rlhf-streams/alignment';
import type { DataFor } from '@rlhf-streams/events';
import type { Joined } from '@rlhf-streams/runs';

type Episode = Joined<'rollout' | 'reward'>;

/** The samples of a prompt and the comparison that they are. */
export interface Compared<Sample extends Episode> {
  readonly samples: readonly Sample[];
  readonly comparison: DataFor<'comparison.recorded'>;
}

export interface RankedBy<Sample> {
  /** What a sample is ranked by. Default: its score. */
  readonly scoreOf?: (sample: Sample) => number;
  /** The ranks of a prompt's samples, 1 the best. Default: the order of the scores, of which equal ones are ties. */
  readonly ranksOf?: (scores: readonly number[], samples: readonly Sample[]) => number[];
  /** Who ranked, given the first scorer's name. Default: that scorer. */
  readonly labelerOf?: (scorer: string) => string;
}

/** Makes the samples of each prompt a comparison. A single sample, of which the others failed, makes none. */
export function compareSamples<Sample extends Episode>(
  episodes: readonly Sample[],
  {
    scoreOf = ({ reward }) => reward.score,
    ranksOf = scoreRanks,
    labelerOf = (scorer) => scorer,
  }: RankedBy<Sample> = {},
): Compared<Sample>[] {
  const byPrompt = new Map<string, Sample[]>();
  for (const episode of episodes) {
    const { prompt } = episode.rollout;
    byPrompt.set(prompt, [...(byPrompt.get(prompt) ?? []), episode]);
  }
  return [...byPrompt].flatMap(([prompt, samples]) => {
    if (samples.length < 2) return [];
    const { rollout, reward } = samples[0]!;
    const scores = samples.map(scoreOf);
    const comparison = {
      run: rollout.run,
      step: rollout.step,
      comparison: prompt,
      split: 'train' as const,
      promptText: rollout.promptText,
      ...(rollout.messages && { messages: rollout.messages }),
      ...(rollout.tools && { tools: rollout.tools }),
      promptTokens: rollout.promptTokens,
      completions: samples.map(({ rollout }, i) => ({
        text: rollout.text,
        tokens: rollout.tokens,
        score: scores[i]!,
      })),
      ranks: ranksOf(scores, samples),
      labeler: labelerOf(Object.keys(reward.parts)[0] ?? 'score'),
    };
    return { samples, comparison };
  });
}
