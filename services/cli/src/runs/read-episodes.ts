/** What a sampling run logged of each of its rollouts, joined by its id. */
import { type ReadDependencies, runEvents } from '@rlhf-streams/archive';
import type { DataFor } from '@rlhf-streams/events';
import type { RunView } from '@rlhf-streams/runs';

/** A rollout, with its scores and its log-probs under the reference where the run has them. */
export interface Episode {
  readonly rollout: DataFor<'rollout.generated'>;
  readonly reward?: DataFor<'reward.scored'>;
  readonly reference?: DataFor<'reference.scored'>;
}

/** The rollouts of a run in the order of its steps, prompts and samples. */
export async function readEpisodes(reading: ReadDependencies, view: RunView): Promise<Episode[]> {
  const parts = new Map<string, Partial<Episode>>();
  const note = (id: string, part: Partial<Episode>) => parts.set(id, { ...part, ...parts.get(id) });
  for await (const event of runEvents(reading, view, ['rollouts', 'rewards', 'reference-logprobs'])) {
    if (event.type === 'rollout.generated') note(event.data.rollout, { rollout: event.data });
    if (event.type === 'reward.scored') note(event.data.rollout, { reward: event.data });
    if (event.type === 'reference.scored') note(event.data.subject, { reference: event.data });
  }
  return [...parts.values()]
    .filter((parts): parts is Episode => parts.rollout !== undefined)
    .sort((a, b) => inOrder(a.rollout.rollout, b.rollout.rollout));
}

/** Compares ids of items by the numbers in them, step, item and sample: RUN/STEP/PROMPT/SAMPLE, RUN/STEP/COMPARISON. */
export function inOrder(one: string, other: string): number {
  const [a, b] = [one, other].map((id) => id.split('/').slice(1).map(Number));
  const differing = a!.findIndex((place, i) => place !== b![i]);
  return differing === -1 ? 0 : a![differing]! - b![differing]!;
}
