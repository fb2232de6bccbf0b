/** A frontier as charts, and as the part of a report that has them. */
import {
  type Chart,
  type ChartPoint,
  type ChartSeries,
  correlation,
  type Estimate,
  type ReportPart,
} from '@rlhf-streams/evaluation';
import type { FrontierResults, SettingPoint } from './measure.js';

const KL = 'KL to the reference (nats per completion)';
const REWARD = 'reward of held-out prompts (mean of completions)';
const LENGTH = 'length (tokens per completion)';

/** The reward-KL plane: the front of each member over all of its points. */
export function frontierChart({ fronts, points }: FrontierResults): Chart {
  return {
    title: 'Reward against KL: the front of each method',
    note: 'up and to the left is better; faint: every setting, step and seed; bars: range over seeds',
    x: KL,
    y: REWARD,
    series: fronts.map(({ member, points: front, area }) => ({
      name: `${member}: area ${written(area)}`,
      points: front.map(pointOf('kl', 'reward')),
      joined: 'step',
      behind: points
        .filter((point) => point.member === member)
        .map(({ kl, reward }) => ({ x: kl, y: reward })),
    })),
  };
}

/** The way of every setting of a member through a plane, over training; means over seeds. */
export const pathChart = (
  { settings, reference }: FrontierResults,
  member: string,
  { x, y, title }: { readonly x: Axis; readonly y: Axis; readonly title: string },
): Chart => ({
  title,
  note: 'lines begin at the reference and go on with training; bars: range over seeds',
  x: TITLES[x],
  y: TITLES[y],
  series: bySetting(settings.filter((point) => point.member === member)).map(([setting, path]) => ({
    name: setting || member,
    points: [...atReference(reference, x, y), ...path.map(pointOf(x, y))],
  })),
});

/** A value over the steps of training, a line for each setting of a member. */
export const stepsChart = (
  { settings, reference }: FrontierResults,
  member: string,
  { y, title }: { readonly y: Axis; readonly title: string },
): Chart => ({
  title,
  note: 'means over seeds; bars: their range',
  x: 'steps of training',
  y: TITLES[y],
  series: bySetting(settings.filter((point) => point.member === member)).map(
    ([setting, path]): ChartSeries => ({
      name: setting || member,
      points: [
        ...atReference(reference, 'kl', y).map((point) => ({ ...point, x: 0 })),
        ...path.map(({ step, [y]: value }) => ({ x: step, y: value.mean, yRange: value.range })),
      ],
    }),
  ),
});

type Axis = 'kl' | 'reward' | 'length';
const TITLES: Readonly<Record<Axis, string>> = { kl: KL, reward: REWARD, length: LENGTH };

/** A report's part: fronts with their areas, and the settings of each member over training. */
export function frontierPart(results: FrontierResults): ReportPart {
  const { corner, fronts, settings, reference, failed } = results;
  const members = fronts.map(({ member }) => member);
  return {
    title: `Frontier ${results.frontier}`,
    ...(corner && {
      text: `The area under a front is what it dominates of the box up to a KL of ${corner.kl.toFixed(2)} and down to the reward of the reference, ${corner.reward.toFixed(3).replace('-', '−')} (mean length ${reference!.length.toFixed(1)}): larger is better. Numbers after ± are halves of 95 % intervals over seeds.`,
    }),
    tables: [
      {
        head: ['method', 'area (reward × nats)', 'best reward', 'at KL', ...COST],
        rows: fronts.map(({ member, area, points: front }) => {
          const best = front.at(-1);
          return [
            member,
            written(area),
            ...(best ? [written(best.reward), written(best.kl), ...costOf(best)] : ['', '', '', '', '']),
          ];
        }),
      },
      {
        title: 'At the last step of each setting',
        head: ['method', 'setting', 'step', 'reward', 'KL', 'length', 'length-reward correlation'],
        rows: bySetting(settings).map(([setting, path]) => {
          const last = path.at(-1)!;
          return [
            last.member,
            setting || '–',
            String(last.step),
            written(last.reward),
            written(last.kl),
            written(last.length),
            correlationOf(results, last),
          ];
        }),
      },
      {
        title: 'What each setting cost up to its last step',
        head: ['method', 'setting', 'step', ...COST],
        rows: bySetting(settings).map(([setting, path]) => {
          const last = path.at(-1)!;
          return [last.member, setting || '–', String(last.step), ...costOf(last)];
        }),
      },
      ...(failed.length === 0
        ? []
        : [
            {
              title: 'Runs that did not complete',
              head: ['run', 'cause'],
              rows: failed.map(({ run, cause }) => [run, cause]),
            },
          ]),
    ],
    charts: [
      frontierChart(results),
      ...members.flatMap((member) => [
        pathChart(results, member, {
          x: 'kl',
          y: 'reward',
          title: `${member}: reward against KL over training`,
        }),
        pathChart(results, member, {
          x: 'length',
          y: 'reward',
          title: `${member}: reward against length over training`,
        }),
        stepsChart(results, member, { y: 'reward', title: `${member}: reward over training` }),
      ]),
    ],
  };
}

const COST = ['seconds', 'tokens trained', 'tokens generated'];

const costOf = ({ cost }: SettingPoint): string[] => [
  written(cost.seconds, 1),
  written(cost.tokensTrained, 0),
  written(cost.tokensGenerated, 0),
];

/** Pearson's correlation of length and reward over the evaluations of a setting, all seeds together. */
export function correlationOf(
  { points }: FrontierResults,
  { member, setting }: Pick<SettingPoint, 'member' | 'setting'>,
): string {
  const own = points.filter((point) => point.member === member && point.setting === setting);
  if (own.length < 3) return '';
  const found = correlation(
    own.map(({ length }) => length),
    own.map(({ reward }) => reward),
  );
  return Number.isNaN(found) ? '' : found.toFixed(2);
}

function bySetting(settings: readonly SettingPoint[]): [setting: string, path: SettingPoint[]][] {
  const paths = new Map<string, SettingPoint[]>();
  for (const point of settings) {
    const key = JSON.stringify([point.member, point.setting]);
    paths.set(key, [...(paths.get(key) ?? []), point]);
  }
  return [...paths.values()].map((path) => [path[0]!.setting, path.toSorted((a, b) => a.step - b.step)]);
}

const pointOf =
  (x: Axis, y: Axis) =>
  (point: SettingPoint): ChartPoint => ({
    x: point[x].mean,
    y: point[y].mean,
    xRange: point[x].range,
    yRange: point[y].range,
  });

/** Where training begins: the reference, whose KL is 0. */
function atReference(reference: FrontierResults['reference'], x: Axis, y: Axis): ChartPoint[] {
  const values = reference && { ...reference, kl: 0 };
  return values ? [{ x: values[x], y: values[y] }] : [];
}

/** An estimate with half of its interval, which one seed does not give. */
export function written({ mean, low, high }: Estimate, digits = 2): string {
  const half = (high - low) / 2;
  return `${mean.toFixed(digits)}${Number.isFinite(half) ? ` ± ${half.toFixed(digits)}` : ''}`;
}
