/** What a frontier leaves in its folder: points, settings and fronts as CSV and JSON, the plot as SVG, and everything as a page. */
import { mkdir } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { csvOf, type ReportData } from '@rlhf-streams/evaluation';
import { writeFileAtomically } from '@rlhf-streams/files';
import { frontierChart, frontierPart } from './charts.js';
import type { FrontierResults, SettingPoint } from './measure.js';

/** @returns the paths written */
export async function writeFrontier(directory: string, results: FrontierResults): Promise<string[]> {
  // What draws the charts takes half a second to load.
  const { chartSvg, renderReport } = await import('@rlhf-streams/evaluation/report');
  const report: ReportData = {
    title: `Frontier ${results.frontier}`,
    createdAt: new Date().toISOString(),
    facts: machineFacts(),
    parts: [frontierPart(results)],
  };
  const folder = resolve(directory, results.frontier);
  await mkdir(folder, { recursive: true });
  const files = {
    'points.csv': frontierCsv(results),
    'settings.csv': settingsCsv(results),
    'fronts.csv': frontsCsv(results),
    'frontier.json': frontierJson(results),
    'frontier.svg': chartSvg(frontierChart(results)),
    'report.html': renderReport(report),
  };
  const paths: string[] = [];
  for (const [name, content] of Object.entries(files)) {
    await writeFileAtomically(join(folder, name), content);
    paths.push(join(folder, name));
  }
  return paths;
}

export const machineFacts = (): [string, string][] => [
  ['Machine', `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown CPU'}`],
  ['Node', process.version],
];

const COST = ['seconds', 'tokens_trained', 'tokens_generated'];

/** A line for each version that was judged; `on_front`: whether its setting at its step is on the front of its member. */
export function frontierCsv({ points, fronts }: FrontierResults): string {
  const onFront = onFronts(fronts);
  return csvOf([
    ['member', 'setting', 'seed', 'step', 'reward', 'kl', 'length', ...COST, 'on_front', 'run'],
    ...points.map((point) => {
      const { member, setting, seed, step, reward, kl, length, cost, run } = point;
      return [
        ...[member, setting, seed, step, reward, kl, length],
        ...[cost.seconds, cost.tokensTrained, cost.tokensGenerated, String(onFront(point)), run],
      ];
    }),
  ]);
}

/**
 * A line for each setting at each step: means over seeds with the ends of their 95 % intervals, which one seed does not give.
 * @internal
 */
export function settingsCsv({ settings, fronts }: FrontierResults): string {
  const onFront = onFronts(fronts);
  return csvOf([
    [
      ...['member', 'setting', 'step', 'seeds', 'on_front'],
      ...['reward', 'kl', 'length', ...COST].flatMap(withEnds),
    ],
    ...settings.map((point) => {
      const { member, setting, step, reward, kl, length, cost } = point;
      const estimates = [reward, kl, length, cost.seconds, cost.tokensTrained, cost.tokensGenerated];
      return [
        ...[member, setting, step, reward.n, String(onFront(point))],
        ...estimates.flatMap(({ mean, low, high }) => [mean, low, high]),
      ];
    }),
  ]);
}

/**
 * A line for each member: the area under its front over seeds, measured up to the KL and down to the reward of the corner.
 * @internal
 */
export const frontsCsv = ({ fronts, corner }: FrontierResults): string =>
  csvOf([
    ['member', 'seeds', ...withEnds('area'), 'corner_kl', 'corner_reward'],
    ...fronts.map(({ member, area }) => [
      ...[member, area.n, area.mean, area.low, area.high],
      ...[corner?.kl, corner?.reward],
    ]),
  ]);

const withEnds = (name: string): string[] => [name, `${name}_low`, `${name}_high`];

type AtStep = Pick<SettingPoint, 'member' | 'setting' | 'step'>;

function onFronts(fronts: FrontierResults['fronts']): (point: AtStep) => boolean {
  const key = ({ member, setting, step }: AtStep) => JSON.stringify([member, setting, step]);
  const keys = new Set(fronts.flatMap(({ points }) => points.map(key)));
  return (point) => keys.has(key(point));
}

/** Everything but the metrics of the steps. An unbounded end of an interval is null. */
function frontierJson({ training: _, ...results }: FrontierResults): string {
  return `${JSON.stringify(results, null, 2)}\n`;
}
