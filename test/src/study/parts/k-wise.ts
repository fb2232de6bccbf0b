import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { meanEstimate } from '@rlhf-streams/evaluation';
import { parseRunConfig } from '@rlhf-streams/runs';
import { written } from 'rlhf-streams';
import { type AlpacaFiles, alpacaFiles } from '../alpaca.js';
import { failures, type MeasuredStep, type Part, type RunMetrics, type StudyOptions, size } from '../part.js';
import { rewardAccuracy } from '../probes.js';

const PASSES = 3;
const RANKINGS_A_STEP = 8;
const VERSIONS = 6;
const allow = { cut: 1, dropped: 1 };

export const kWise: Part = {
  name: 'k-wise',
  title: 'Rankings of four to nine answers: K-wise, and their pairs shuffled',
  text: 'A reward model on rankings of AlpacaEval, judged by GPT-4: each ranking as one element of a batch (Ouyang et al. 2022, section 3.5), against the same pairs shuffled into batches, for as many passes. The paper finds that shuffled pairs overfit in a pass. Shown is the accuracy on the pairs of rankings of other prompts, over passes. PRO and DPO train on the same rankings. The body is small and answers are cut to 240 letters: this shows the mechanics, not what a language model would learn.',
  skipped: ({ alpaca }) =>
    alpaca === undefined
      ? 'it needs --alpaca FOLDER, with train.jsonl and test.jsonl of rankings'
      : undefined,
  async answer(study, { carry }) {
    const source = study.alpaca!;
    await stat(join(source, 'train.jsonl'));
    const files = await alpacaFiles(source, study.files, { most: size(study, 1000, 24) });
    const plan = planOf(study, files);
    const { steps, failed } = await carry(plan.set);
    const series = plan.rewards.map(({ name, runs }) => ({
      name,
      points: plan.passes.flatMap((passes, version) => {
        const values = runs.flatMap(({ probes }) => accuracyOf(steps, probes[version]!.run));
        if (values.length === 0) return [];
        return [
          {
            passes,
            estimate: meanEstimate(values),
            range: [Math.min(...values), Math.max(...values)] as const,
          },
        ];
      }),
    }));
    const heldOut = (run: string) =>
      steps.get(run)?.findLast(({ metrics }) => 'eval/rewards/accuracies' in metrics)?.metrics[
        'eval/rewards/accuracies'
      ];
    const [kwise, shuffled] = series.map(({ points }) => points.map(({ estimate }) => estimate.mean));
    const last = (values: readonly number[] = []) => values.at(-1)?.toFixed(3);
    return {
      result: `After ${plan.passes.at(-1)!.toFixed(0)} passes the K-wise model tells ${last(kwise)} of the held-out pairs right, that of shuffled pairs ${last(shuffled)}; at their best, of ${plan.passes.length} versions, ${fixed(Math.max(...(kwise ?? [])))} and ${fixed(Math.max(...(shuffled ?? [])))}. ${files.counts.rankings} rankings to learn from, ${files.counts.pairs} pairs; ${files.counts.heldOut} rankings held out.`,
      tables: [
        {
          title: 'Accuracy of reward models on held-out pairs',
          head: ['passes', ...series.map(({ name }) => name)],
          rows: plan.passes.map((passes) => [
            passes.toFixed(1),
            ...series.map(({ points }) => {
              const at = points.find((point) => point.passes === passes);
              return at ? written(at.estimate, 3) : '';
            }),
          ]),
        },
        {
          title:
            'Policies on the same rankings, after training: accuracy of their implicit rewards on held-out rankings',
          head: ['method', 'accuracy'],
          rows: plan.policies.map(({ name, runs }) => {
            const values = runs.flatMap((run) => heldOut(run) ?? []);
            return [name, values.length > 0 ? written(meanEstimate(values), 3) : ''];
          }),
        },
        ...failures(failed),
      ],
      charts: [
        {
          title: 'Held-out accuracy over training',
          note: 'means over seeds; bars: their range',
          x: 'passes over the rankings',
          y: 'accuracy on pairs of held-out rankings (share)',
          series: series.map(({ name, points }) => ({
            name,
            points: points.map(({ passes, estimate, range }) => ({
              x: passes,
              y: estimate.mean,
              yRange: range,
            })),
          })),
        },
      ],
    };
  },
};

function planOf(study: StudyOptions, { rankings, pairs, demonstrations, heldOut, counts }: AlpacaFiles) {
  const versions = size(study, VERSIONS, 1);
  // Steps that divide into as many versions.
  const stepsFor = (items: number, batchSize: number) =>
    Math.ceil((items * size(study, PASSES, 1)) / batchSize / versions) * versions;
  const body = {
    run: 'study-k-wise.sft',
    method: 'sft',
    model: { layers: 2, width: 128, heads: 4, contextLength: 192, vocabSize: 2048 },
    data: demonstrations,
    steps: size(study, 120, 4),
    batchSize: 16,
    allow,
    optimizer: { learningRate: 3e-3 },
  };
  const model = 'run:study-k-wise.sft';
  const rewardOf = (name: string, data: string, items: number, batchSize: number) => ({
    name,
    runs: study.seeds.map((seed) => {
      const run = `study-k-wise.${name}.s${seed}`;
      const steps = stepsFor(items, batchSize);
      const config = parseRunConfig({
        ...{ run, seed, method: 'reward', model, data, steps, batchSize, allow },
        checkpointEvery: steps / versions,
        optimizer: { learningRate: 3e-4 },
      });
      const probes = Array.from({ length: versions }, (_, index) => {
        const step = ((index + 1) * steps) / versions;
        return rewardAccuracy(`${run}.at-${step}`, `run:${run}@${step}`, heldOut);
      });
      return { config, probes };
    }),
  });
  // As many pairs a step as rankings of a step have, so that both take as many steps.
  const pairsAStep = Math.max(1, Math.round((RANKINGS_A_STEP * counts.pairs) / counts.rankings));
  const rewards = [
    rewardOf('rankings', rankings, counts.rankings, RANKINGS_A_STEP),
    rewardOf('shuffled-pairs', pairs, counts.pairs, pairsAStep),
  ];
  const policyOf = (name: string, method: string, own: object) => ({
    name,
    runs: study.seeds.map((seed) =>
      parseRunConfig({
        ...{ run: `study-k-wise.${method}.s${seed}`, seed, method, model, data: rankings, allow, ...own },
        steps: stepsFor(counts.rankings, RANKINGS_A_STEP),
        batchSize: RANKINGS_A_STEP,
        testFraction: 0.15,
        optimizer: { learningRate: 1e-4 },
      }),
    ),
  });
  const policies = [
    policyOf('PRO', 'pro', {}),
    policyOf('DPO on all pairs', 'dpo', { dpo: { pairs: 'all' } }),
  ];
  return {
    rewards,
    policies: policies.map(({ name, runs }) => ({ name, runs: runs.map(({ run }) => run) })),
    passes: Array.from({ length: versions }, (_, index) => ((index + 1) * size(study, PASSES, 1)) / versions),
    set: {
      experiment: 'study-k-wise',
      first: [parseRunConfig(body)],
      members: [
        ...rewards.flatMap(({ runs }) => runs.map(({ config, probes }) => [config, ...probes])),
        ...policies.flatMap(({ runs }) => runs.map((run) => [run])),
      ],
    },
  };
}

const accuracyOf = (steps: RunMetrics['steps'], run: string): number[] =>
  (steps.get(run) as readonly MeasuredStep[] | undefined)?.flatMap(
    ({ metrics }) => metrics['eval/accuracy'] ?? [],
  ) ?? [];

const fixed = (value: number): string => (Number.isFinite(value) ? value.toFixed(3) : 'none');
