/** How many tokens a step learned from: what a run cost, whatever its method and however fast the machine. */
import type { Item } from '@rlhf-streams/runs';

/**
 * - `tokens/trained`: those of the sequences that the step learned from, of all its streams, prompts among them, each once however many passes
 *   the method makes over them
 * - `tokens/generated`: those of them that a policy sampled for the run
 */
export function tokensOf(items: readonly Item[]): Record<string, number> {
  let [trained, generated] = [0, 0];
  for (const { demonstration, comparison, thumb, rollout } of items) {
    for (const sequence of [demonstration, thumb, rollout])
      if (sequence) trained += sequence.promptTokens.length + sequence.tokens.length;
    generated += rollout?.tokens.length ?? 0;
    for (const { tokens } of comparison?.completions ?? [])
      trained += comparison!.promptTokens.length + tokens.length;
  }
  return { 'tokens/trained': trained, 'tokens/generated': generated };
}
