/** A PPO step as one sequence of stages, and what of it the log takes. */
import type { DataFor, EventType } from '@rlhf-streams/events';
import type { Watch, Write, WrittenEvent } from './watched-log.js';

/** Milliseconds; the stages add up to the total. */
export interface StepTimes {
  readonly total: number;
  readonly stages: Readonly<Record<Stage, number>>;
  /** How long each stage waited for the log: see `stepTimes`. */
  readonly log: Readonly<Record<Stage, number>>;
  /** How long any write to the log was under way. */
  readonly writing: number;
  readonly rollouts: number;
  readonly promptTokens: number;
  /** Generated. */
  readonly tokens: number;
}

/** In their order: each begins where the one before ends. */
export const stages = {
  issue: 'issue prompts',
  generate: 'load weights, generate',
  reward: 'reward, after the last rollout',
  reference: 'reference, after the last reward',
  join: 'join wait',
  update: 'update',
  publish: 'save version and checkpoint',
} as const;
export type Stage = keyof typeof stages;

/**
 * A step begins when the one before is written as completed. Without staleness four events follow upon one another in
 * it: the completion, the last prompt, the last rollout, the last of the scores and log-probs. `log` is how long each was
 * in the log's hands, from the call that writes it to its arrival at a reader: queueing, appending, the sync to disk,
 * waking the reader and reading. It counts for the stage that begins with it. What else is written in a step is written
 * while something computes.
 */
export function stepTimes(writes: readonly Write[], arrival: Watch['arrival'], step: number): StepTimes {
  const before = newest(writes, 'step.completed', step - 1);
  const prompts = newest(writes, 'prompt.issued', step);
  const rollout = newest(writes, 'rollout.generated', step);
  const reward = newest(writes, 'reward.scored', step);
  const reference = newest(writes, 'reference.scored', step);
  const completed = newest(writes, 'step.completed', step);
  const scored = reference.asked > reward.asked ? reference : reward;
  const wait = ({ event, asked }: Asked) => arrival(event)! - asked;
  const { metrics } = completed.event.data as DataFor<'step.completed'>;
  const update = metrics['timing_s/update']! * 1000;
  const publish = metrics['timing_s/publish']! * 1000;
  const rollouts = writes
    .flatMap(({ events }) => events)
    .filter(({ type, data }) => type === 'rollout.generated' && data.step === step)
    .map(({ data }) => data as DataFor<'rollout.generated'>);
  const sum = (of: (rollout: DataFor<'rollout.generated'>) => number) =>
    rollouts.reduce((total, each) => total + of(each), 0);
  return {
    total: completed.asked - before.asked,
    stages: {
      issue: prompts.asked - before.asked,
      generate: rollout.asked - prompts.asked,
      reward: reward.asked - rollout.asked,
      reference: scored.asked - reward.asked,
      join: completed.asked - publish - update - scored.asked,
      update,
      publish,
    },
    log: {
      issue: wait(before),
      generate: wait(prompts),
      reward: wait(rollout),
      reference: 0,
      join: wait(scored),
      update: 0,
      publish: 0,
    },
    writing: covered(writes, before.asked, completed.asked),
    rollouts: rollouts.length,
    promptTokens: sum(({ promptTokens }) => promptTokens.length),
    tokens: sum(({ tokens }) => tokens.length),
  };
}

interface Asked {
  readonly event: WrittenEvent;
  readonly asked: number;
}

/** The event of a type and step that was written last. */
function newest(writes: readonly Write[], type: EventType, step: number): Asked {
  const found = writes.flatMap(({ events, asked }) =>
    events
      .filter((event) => event.type === type && event.data.step === step)
      .map((event) => ({ event, asked })),
  );
  if (found.length === 0) throw new Error(`expected a ${type} of step ${step}, the log was given none`);
  return found.reduce((a, b) => (b.asked >= a.asked ? b : a));
}

/** How much of an interval lies within any write. */
function covered(writes: readonly Write[], from: number, to: number): number {
  let end = from;
  let sum = 0;
  for (const { asked, durable } of writes.toSorted((a, b) => a.asked - b.asked)) {
    const begin = Math.max(asked, end);
    const until = Math.min(durable, to);
    if (until <= begin) continue;
    sum += until - begin;
    end = until;
  }
  return sum;
}
