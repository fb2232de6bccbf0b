/** What a frontier leaves in its folder: points as CSV and JSON, the plot as SVG, and everything as a page. */
import { mkdir } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join, resolve } from 'node:path';
import type { ReportData } from '@rlhf-streams/evaluation';
import { writeFileAtomically } from '@rlhf-streams/files';
import { frontierChart, frontierPart } from './charts.js';
import type { FrontierResults } from './measure.js';

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

const COLUMNS = [
  'member',
  'setting',
  'seed',
  'step',
  'reward',
  'kl',
  'length',
  'seconds',
  'tokens_trained',
  'tokens_generated',
  'on_front',
  'run',
];

/** A line for each version that was judged; `on_front`: whether its setting at its step is on the front of its member. */
export function frontierCsv({ points, fronts }: FrontierResults): string {
  const onFront = new Set(
    fronts.flatMap(({ points }) => points.map(({ member, setting, step }) => `${member} ${setting} ${step}`)),
  );
  const rows = points.map(({ member, setting, seed, step, reward, kl, length, cost, run }) => [
    member,
    setting,
    seed,
    step,
    reward,
    kl,
    length,
    cost.seconds,
    cost.tokensTrained,
    cost.tokensGenerated,
    onFront.has(`${member} ${setting} ${step}`),
    run,
  ]);
  return [COLUMNS, ...rows].map((row) => `${row.map(csvCell).join(',')}\n`).join('');
}

const csvCell = (value: unknown): string => {
  const text = String(value);
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

/** Everything but the metrics of the steps. An unbounded end of an interval is null. */
function frontierJson({ training: _, ...results }: FrontierResults): string {
  return `${JSON.stringify(results, null, 2)}\n`;
}
