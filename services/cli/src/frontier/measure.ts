/** What the runs of a frontier came to, read from the metrics of their steps. */
import {
  type Estimate,
  hypervolume,
  meanEstimate,
  paretoFront,
  type RewardKl,
} from '@rlhf-streams/evaluation';
import type { StepMetrics } from '@rlhf-streams/gateway';
import type { RunConfig } from '@rlhf-streams/runs';
import type { Client } from '../place/client.js';
import { problemOf } from '../runs/problems.js';
import type { ShownRun } from './carry-out.js';
import { type FrontierPlan, settingInWords } from './plan.js';

/** A version of a policy, judged on held-out prompts: means over its completions. */
export interface FrontierPoint extends RewardKl {
  readonly member: string;
  /** In words, as `beta 0.1`. */
  readonly setting: string;
  readonly values: Readonly<Record<string, unknown>>;
  readonly seed: number;
  /** The run that trained it, and its steps done. */
  readonly run: string;
  readonly step: number;
  /** Tokens of a completion. */
  readonly length: number;
  /** Means of every scorer, by its name. */
  readonly scores: Readonly<Record<string, number>>;
  readonly cost: Cost;
}

/** What it took to train up to a step. */
export interface Cost {
  /** Wall time, beside whatever else the machine did; the time in which services were down does not count. */
  readonly seconds: number;
  /** Tokens of the sequences that steps learned from, each once a step. */
  readonly tokensTrained: number;
  /** Tokens that the policy sampled for it. */
  readonly tokensGenerated: number;
}

/** An estimate over seeds, unbounded for one seed, and the range of what they came to. */
export interface OverSeeds extends Estimate {
  readonly range: readonly [least: number, greatest: number];
}

/** A setting at a step. */
export interface SettingPoint {
  readonly member: string;
  readonly setting: string;
  readonly step: number;
  readonly reward: OverSeeds;
  readonly kl: OverSeeds;
  readonly length: OverSeeds;
  readonly cost: Readonly<Record<keyof Cost, OverSeeds>>;
}

/** The best of a member: the front of its settings' means, and the area under the front of each seed. */
export interface Front {
  readonly member: string;
  readonly points: readonly SettingPoint[];
  /** Reward times nats, over seeds. */
  readonly area: Estimate;
}

export interface FrontierResults {
  readonly frontier: string;
  /** The reference policy, from which KL is measured. */
  readonly reference: { readonly reward: number; readonly length: number } | undefined;
  /** The corner of the areas: the largest KL of any point, and the reward of the reference. */
  readonly corner: RewardKl | undefined;
  readonly points: readonly FrontierPoint[];
  readonly settings: readonly SettingPoint[];
  readonly fronts: readonly Front[];
  /** Metrics of the steps of every training run that did any, by its name. */
  readonly training: ReadonlyMap<string, readonly StepMetrics[]>;
  /** Runs that did not complete, and why. */
  readonly failed: readonly { readonly run: string; readonly cause: string }[];
}

/** @param runs as they ended */
export async function measure(
  client: Pick<Client, 'request'>,
  plan: FrontierPlan<RunConfig>,
  runs: readonly ShownRun[],
): Promise<FrontierResults> {
  const status = new Map(runs.map((run) => [run.run, run]));
  const stepsOf = async ({ run }: RunConfig) =>
    (status.get(run)?.steps.done ?? 0) > 0 ? metricsOf(client, run) : [];
  const evaluated = async (run: RunConfig) =>
    status.get(run.run)?.status === 'completed' ? measured((await stepsOf(run))[0]?.metrics) : undefined;
  const reference = await evaluated(plan.reference);
  const points: FrontierPoint[] = [];
  const training = new Map<string, readonly StepMetrics[]>();
  for (const { run, evaluations, member, values, seed } of plan.members) {
    const steps = await stepsOf(run);
    if (steps.length > 0) training.set(run.run, steps);
    for (const { step, run: evaluation } of evaluations) {
      const found = await evaluated(evaluation);
      if (!found) continue;
      const about = { member, setting: settingInWords(values), values, seed, run: run.run, step };
      points.push({ ...about, ...found, cost: costOf(steps, step) });
    }
  }
  const settings = overSeeds(points);
  const corner =
    reference && points.length > 0
      ? { kl: Math.max(...points.map(({ kl }) => kl)), reward: reference.reward }
      : undefined;
  return {
    frontier: plan.experiment,
    reference,
    corner,
    points,
    settings,
    fronts: corner ? frontsOf(points, settings, corner) : [],
    training,
    failed: runs
      .filter((run) => run.status === 'failed' || run.status === 'cancelled')
      .map(({ run, cause }) => ({ run, cause: cause?.message ?? 'no cause given' })),
  };
}

/** The steps of a run with what they measured. */
export async function metricsOf(
  { request }: Pick<Client, 'request'>,
  run: string,
): Promise<readonly StepMetrics[]> {
  const steps: StepMetrics[] = [];
  for (let path: string | undefined = `/v1/runs/${run}/metrics`; path !== undefined; ) {
    const response: Response = await request(path);
    if (!response.ok) throw await problemOf(response);
    steps.push(...((await response.json()) as StepMetrics[]));
    path = /<([^>]+)>; rel="next"/.exec(response.headers.get('link') ?? '')?.[1];
  }
  return steps;
}

/** What a sampling run measured; undefined where none of its completions was scored. */
function measured(metrics: Readonly<Record<string, number>> = {}) {
  const { 'objective/scores': reward, 'objective/kl': kl, 'rollout/length': length } = metrics;
  if (reward === undefined || kl === undefined || length === undefined) return undefined;
  const scores = Object.entries(metrics).flatMap(([name, score]) =>
    name.startsWith(SCORES) ? [[name.slice(SCORES.length), score] as const] : [],
  );
  return { reward, kl, length, scores: Object.fromEntries(scores) };
}

const SCORES = 'scores/';

/** Times the median step: more between two steps, and the services were down. */
const DOWN = 10;

/** @internal */
export function costOf(steps: readonly StepMetrics[], until: number): Cost {
  const done = steps.filter(({ step, split }) => step < until && split === 'train');
  const sum = (of: (step: StepMetrics, index: number) => number) =>
    done.reduce((total, step, index) => total + of(step, index), 0);
  const between = done.slice(1).map(({ time }, index) => Date.parse(time) - Date.parse(done[index]!.time));
  const median = between.toSorted((a, b) => a - b)[Math.floor(between.length / 2)] ?? 0;
  const seconds = (index: number) => {
    const gap = between[index - 1];
    if (gap === undefined) return done[index]!.metrics['timing_s/update'] ?? 0;
    return (gap > DOWN * median ? median : gap) / 1000;
  };
  return {
    seconds: sum((_, index) => seconds(index)),
    tokensTrained: sum(({ metrics }) => metrics['tokens/trained'] ?? 0),
    tokensGenerated: sum(({ metrics }) => metrics['tokens/generated'] ?? 0),
  };
}

/** @internal */
export function overSeeds(points: readonly FrontierPoint[]): SettingPoint[] {
  const groups = new Map<string, FrontierPoint[]>();
  for (const point of points) {
    const key = JSON.stringify([point.member, point.setting, point.step]);
    groups.set(key, [...(groups.get(key) ?? []), point]);
  }
  return [...groups.values()].map((seeds) => {
    const { member, setting, step } = seeds[0]!;
    const estimate = (of: (point: FrontierPoint) => number): OverSeeds => {
      const values = seeds.map(of);
      return { ...meanEstimate(values), range: [Math.min(...values), Math.max(...values)] };
    };
    return {
      member,
      setting,
      step,
      reward: estimate(({ reward }) => reward),
      kl: estimate(({ kl }) => kl),
      length: estimate(({ length }) => length),
      cost: {
        seconds: estimate(({ cost }) => cost.seconds),
        tokensTrained: estimate(({ cost }) => cost.tokensTrained),
        tokensGenerated: estimate(({ cost }) => cost.tokensGenerated),
      },
    };
  });
}

/** @internal */
export function frontsOf(
  points: readonly FrontierPoint[],
  settings: readonly SettingPoint[],
  corner: RewardKl,
): Front[] {
  return [...new Set(points.map(({ member }) => member))].map((member) => {
    const own = points.filter((point) => point.member === member);
    const areas = [...new Set(own.map(({ seed }) => seed))].map((seed) =>
      hypervolume(
        own.filter((point) => point.seed === seed),
        corner,
      ),
    );
    const means = settings
      .filter((setting) => setting.member === member)
      .map((point) => ({ kl: point.kl.mean, reward: point.reward.mean, point }));
    return { member, points: paretoFront(means).map(({ point }) => point), area: meanEstimate(areas) };
  });
}
