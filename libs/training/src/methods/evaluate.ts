import { type ChoiceScores, choicesOf, scoreChoices } from '@rlhf-streams/evaluation';
import { joined } from '@rlhf-streams/runs';
import type { Method, StepResult } from './method.js';

/** Measures a model by the log-probs that it gave to the completions of each item; trains nothing. */
export const evaluate: Method<'evaluate'> = {
  start: () => ({}),
  programs: () => ({}),

  async update({ carry }, items): Promise<StepResult> {
    if (items.length === 0) return { metrics: { items: 0 }, carry };
    const judged = joined(items, 'comparison', 'reference').map(({ id, comparison, reference }) => {
      const choices = choicesOf(comparison, reference.logprobs);
      return { item: id, logprobs: choices.logprobs, scores: scoreChoices(choices) };
    });
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
      results: judged.map(({ item, logprobs, scores }) => ({ item, logprobs, ...scores })),
    };
  },
};
