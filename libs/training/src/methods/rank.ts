import type { DataFor } from '@rlhf-streams/events';
import type { Joined } from '@rlhf-streams/runs';

/** The samples of each prompt as a comparison, ranked by their scores; equal scores are ties. A lone sample is none. */
export function rankByScore(
  episodes: readonly Joined<'rollout' | 'reward'>[],
): DataFor<'comparison.recorded'>[] {
  const byPrompt = new Map<string, Joined<'rollout' | 'reward'>[]>();
  for (const episode of episodes) {
    const { prompt } = episode.rollout;
    byPrompt.set(prompt, [...(byPrompt.get(prompt) ?? []), episode]);
  }
  return [...byPrompt].flatMap(([prompt, samples]) => {
    if (samples.length < 2) return [];
    const { rollout } = samples[0]!;
    const scores = samples.map(({ reward }) => reward.score);
    return {
      run: rollout.run,
      step: rollout.step,
      comparison: prompt,
      split: 'train' as const,
      promptText: rollout.promptText,
      promptTokens: rollout.promptTokens,
      completions: samples.map(({ rollout, reward }) => ({
        text: rollout.text,
        tokens: rollout.tokens,
        score: reward.score,
      })),
      ranks: scores.map((score) => 1 + scores.filter((other) => other > score).length),
      labeler: Object.keys(samples[0]!.reward.parts)[0] ?? 'score',
    };
  });
}
