/** How old the rollouts of a run were when it trained on them: from the log alone. */

import type { Events } from '@rlhf-streams/bus';
import type { DataFor } from '@rlhf-streams/events';

export interface LoggedStep {
  readonly metrics: Readonly<Record<string, number>>;
  /** For each rollout it was trained on: versions between the policy that sampled it and the one that was trained. */
  readonly staleness: readonly number[];
}

export interface LoggedRun {
  /** In the order of their numbers. */
  readonly steps: readonly LoggedStep[];
  /** The same of every rollout that was ever generated, used or not. */
  readonly staleness: readonly number[];
  readonly deadLetters: readonly DataFor<'record.rejected'>[];
}

const stalenessOf = ({ step, policyVersion }: DataFor<'rollout.generated'>) => step - policyVersion;

export async function loggedRun(events: Events, run: string): Promise<LoggedRun> {
  const used = new Map<string, DataFor<'rollout.generated'>>();
  const staleness: number[] = [];
  const completed = new Map<number, DataFor<'step.completed'>>();
  const deadLetters: DataFor<'record.rejected'>[] = [];
  const topics = ['rollouts', 'training-metrics', 'dead-letters'] as const;
  for await (const { type, data } of events.readAll(topics)) {
    if (type === 'record.rejected') deadLetters.push(data);
    else if (data.run !== run) continue;
    else if (type === 'step.completed') completed.set(data.step, data);
    else if (type === 'rollout.generated') {
      staleness.push(stalenessOf(data));
      // The first of an id is the one that counts.
      if (!used.has(data.rollout)) used.set(data.rollout, data);
    }
  }
  const steps = [...completed.values()].sort((a, b) => a.step - b.step);
  return {
    steps: steps.map(({ step, metrics }) => ({
      metrics,
      staleness: [...used.values()].filter((rollout) => rollout.step === step).map(stalenessOf),
    })),
    staleness,
    deadLetters,
  };
}
