/** The specs of all methods. A new method is a file and a line here. */
import type { z } from 'zod';
import { dpo } from './dpo.js';
import { evaluate } from './evaluate.js';
import { grpo } from './grpo.js';
import { kto } from './kto.js';
import { onlineDpo } from './online-dpo.js';
import { ppo } from './ppo.js';
import { pro } from './pro.js';
import { reinforce } from './reinforce.js';
import { reward } from './reward.js';
import { sample } from './sample.js';
import { sft } from './sft.js';
import type { DataSpec, JoinedTopic, MethodSpec, Plan } from './spec.js';
import { trpo } from './trpo.js';

/** The spec of each method, by name. */
export const methods = {
  sft,
  reward,
  ppo,
  trpo,
  reinforce,
  grpo,
  dpo,
  pro,
  kto,
  onlineDpo,
  sample,
  evaluate,
};

export type MethodName = keyof typeof methods;
export const methodNames = Object.keys(methods) as [MethodName, ...MethodName[]];

export type ConfigSchema = (typeof methods)[MethodName]['config'];
export type ConfigOf<Name extends MethodName> = z.output<(typeof methods)[Name]['config']>;
export type RunConfig = ConfigOf<MethodName>;

/** The spec of a run's method, with what depends on the run's configuration. */
export interface RunSpec extends Omit<MethodSpec, 'config' | 'plan'>, Omit<Plan, 'models' | 'trains'> {
  /** What the items of its steps are joined from. */
  readonly joins: readonly JoinedTopic[];
}

export function specOf(config: RunConfig): RunSpec {
  const { config: _, plan, ...spec } = methods[config.method] as MethodSpec;
  const planned = plan(config);
  const joins = [...new Set(planned.streams.flatMap(({ joins }) => joins))];
  return { ...spec, ...planned, joins };
}

/** A dataset that a stream draws from: the main one without a name. */
export const dataSpecOf = ({ data, datasets }: Pick<Plan, 'data' | 'datasets'>, name?: string): DataSpec =>
  name === undefined ? data : datasets![name]!;

/** The names of all datasets, the main one first, which has none. */
export const datasetNames = ({ datasets = {} }: Pick<Plan, 'datasets'>): (string | undefined)[] => [
  undefined,
  ...Object.keys(datasets),
];
