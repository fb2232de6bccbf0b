import { type ChoiceScores, scoreChoices } from '@rlhf-streams/evaluation';
import { type Joined, joined } from '@rlhf-streams/runs';
import type { Method, StepResult } from './method.js';

type Judged = Joined<'comparison' | 'reference'>;

/** Measures a model by the log-probs that it gave to the completions of each item; trains nothing. */
export const evaluate: Method<'evaluate'> = {
  start: () => ({}),
  programs: () => ({}),

  async update({ carry }, items): Promise<StepResult> {
    if (items.length === 0) return { metrics: { items: 0 }, carry };
    const judged = joined(items, 'comparison', 'reference').map((item) => ({ item, ...judge(item) }));
    const mean = (name: keyof ChoiceScores) =>
      judged.reduce((sum, { scores }) => sum + scores[name], 0) / judged.length;
    return {
      carry,
      metrics: {
        items: judged.length,
        accuracy: mean('accuracy'),
        accuracy_norm: mean('accuracy_norm'),
        mc1: mean('mc1'),
        mc2: mean('mc2'),
      },
      results: judged.map(({ item, logprobs, scores }) => ({ item: item.id, logprobs, ...scores })),
    };
  },
};

function judge({ comparison: { completions, ranks }, reference }: Judged) {
  const logprobs = reference.logprobs.map((tokens) => tokens.reduce((sum, logprob) => sum + logprob, 0));
  const lengths = completions.map(({ text }) => [...text.trim()].length);
  return { logprobs, scores: scoreChoices({ ranks, logprobs, lengths }) };
}
