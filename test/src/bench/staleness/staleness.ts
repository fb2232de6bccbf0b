import { meanEstimate } from '@rlhf-streams/evaluation';
import type { RunConfigInput } from '@rlhf-streams/runs';
import { recipe } from '@rlhf-streams/sentiment';
import { followRun, type Platform, requestRun, startPlatform } from 'rlhf-streams';
import type { Measurement, Row } from '../measurement.js';
import { inTemporaryFolder } from '../temporary-folder.js';
import { timed } from '../timing.js';

const LIMIT_MS = 30 * 60_000;
const SEED = 0;
const CAP = 2;

/** The quickstart's own PPO run and evaluation, and what they need. */
const stages = new Map(
  recipe({ data: 'bundled', seed: SEED }).flatMap(({ runs }) => runs.map((run) => [run.run, run])),
);
const before = ['sft', 'comparisons', 'reward'];

/** Synchronous; asynchronous with and without the correction by importance. */
const variants = [
  { maxStaleness: 0, corrected: false },
  { maxStaleness: 1, corrected: false },
  { maxStaleness: 1, corrected: true },
  { maxStaleness: 4, corrected: false },
  { maxStaleness: 4, corrected: true },
];

export const staleness: Measurement = {
  name: 'staleness',
  about: "the quickstart's PPO, synchronous and asynchronous: pace, and gold reward on held-out prompts",
  onlyByName: true,
  run: () =>
    inTemporaryFolder(async (directory) => {
      const platform = await startPlatform({ directory });
      try {
        for (const name of before) await complete(platform, stages.get(name)!);
        const rows: Row[] = [];
        for (const variant of variants) rows.push(await measure(platform, variant));
        return {
          rows,
          notes: [
            `Of the quickstart's recipe with seed ${SEED}: the same SFT policy, reward model, prompts and steps for all; corrected:`,
            `truncated importance sampling of tokens, cap ${CAP}. Gold reward with its 95 % interval on the 256 prompts of the`,
            "quickstart's evaluation, which no run trained on and no policy is shown; KL to the SFT policy, of the same samples.",
          ],
        };
      } finally {
        await platform.close();
      }
    }),
};

async function measure(
  platform: Platform,
  { maxStaleness, corrected }: (typeof variants)[number],
): Promise<Row> {
  const run = `ppo-${maxStaleness}${corrected ? '-corrected' : ''}`;
  const ppo = stages.get('ppo') as Extract<RunConfigInput, { method: 'ppo' }>;
  const config: RunConfigInput = {
    ...ppo,
    run,
    maxStaleness,
    ppo: { ...ppo.ppo, ...(corrected && { importanceSampling: { cap: CAP } }) },
  };
  const milliseconds = await timed(() => complete(platform, config));
  const evaluation = { ...stages.get('evaluate-ppo')!, run: `evaluate-${run}`, model: `run:${run}` };
  await complete(platform, evaluation as RunConfigInput);
  const gold = meanEstimate(await goldScores(platform, evaluation.run));
  const trained = await metricsOf(platform, run);
  const [evaluated] = await metricsOf(platform, evaluation.run);
  const of = (metric: string) => trained.map((metrics) => metrics[metric] ?? 0);
  return {
    'max staleness': maxStaleness,
    corrected: corrected ? 'yes' : 'no',
    'rollouts/s': (1000 * config.steps! * ppo.batchSize!) / milliseconds,
    'mean staleness': of('rollout/staleness').reduce((a, b) => a + b, 0) / trained.length,
    'most staleness': Math.max(...of('rollout/staleness_max')),
    'gold reward': gold.mean,
    '95 % low': gold.low,
    high: gold.high,
    KL: evaluated?.['objective/kl'] ?? Number.NaN,
  };
}

async function complete(platform: Platform, config: RunConfigInput): Promise<void> {
  await requestRun(platform, config);
  await followRun(platform, config.run, {}, AbortSignal.timeout(LIMIT_MS));
}

async function goldScores({ events }: Platform, run: string): Promise<number[]> {
  const scores = new Map<string, number>();
  for await (const { type, data } of events.readAll(['rewards']))
    if (type === 'reward.scored' && data.run === run) scores.set(data.rollout, data.parts.gold!);
  return [...scores.values()];
}

async function metricsOf({ events }: Platform, run: string): Promise<Readonly<Record<string, number>>[]> {
  const metrics: Readonly<Record<string, number>>[] = [];
  for await (const { data } of events.readAll(['training-metrics']))
    if (data.run === run) metrics.push(data.metrics);
  return metrics;
}
