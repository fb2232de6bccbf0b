import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { meanEstimate } from '@rlhf-streams/evaluation';
import { parseRunConfig, type RunConfig } from '@rlhf-streams/runs';
import { written } from 'rlhf-streams';
import { type AlpacaFiles, type AlpacaSize, alpacaFiles } from '../alpaca.js';
import { failures, type MeasuredStep, type Part, type RunMetrics, type StudyOptions, size } from '../part.js';
import { beforeTraining, rewardAccuracy } from '../probes.js';

const PASSES = 3;
const allow = { cut: 1, dropped: 1 };

/** What the rankings are learned by. */
interface Body extends Omit<Part, 'answer'> {
  sizeOf(study: StudyOptions): AlpacaSize;
  seedsOf(study: StudyOptions): readonly number[];
  /** The run that trains what all runs start from, where it is trained here. */
  first(study: StudyOptions, data: string): RunConfig[];
  /** Settings of every run: the model, and how it is trained. */
  settings(study: StudyOptions): object;
  /** How many are measured. */
  readonly versions: number;
  readonly learningRates: { readonly reward: number; readonly policy: number };
}

const TEXT =
  'A reward model on rankings of AlpacaEval, judged by GPT-4: each ranking as one element of a batch (Ouyang et al. 2022, section 3.5), against the same pairs shuffled into batches, for as many passes. The paper finds that shuffled pairs overfit in a pass. Shown is the accuracy on the pairs of rankings of other prompts, over passes. PRO and DPO train on the same rankings.';

const withoutRankings = ({ alpaca }: StudyOptions) =>
  alpaca === undefined ? 'it needs --alpaca FOLDER, with train.jsonl and test.jsonl of rankings' : undefined;

/** The body is trained here, on the best answers. */
export const kWise = partOf({
  name: 'k-wise',
  title: 'Rankings of four to nine answers: K-wise, and their pairs shuffled',
  text: `${TEXT} The body is small and answers are cut to 240 letters: this shows the mechanics, not what a language model would learn.`,
  skipped: withoutRankings,
  sizeOf(study) {
    const most = size(study, 1000, 24);
    return { rankings: most, heldOut: most, letters: { prompt: 240, answer: 240 } };
  },
  seedsOf: ({ seeds }) => seeds,
  first: (study, data) => [
    parseRunConfig({
      run: 'study-k-wise.sft',
      method: 'sft',
      model: { layers: 2, width: 128, heads: 4, contextLength: 192, vocabSize: 2048 },
      data,
      steps: size(study, 120, 4),
      batchSize: 16,
      allow,
      optimizer: { learningRate: 3e-3 },
    }),
  ],
  settings: () => ({ model: 'run:study-k-wise.sft' }),
  versions: 6,
  learningRates: { reward: 3e-4, policy: 1e-4 },
});

/** A language model as it was published, trained by adapters on what two cores read in the time of the study. */
export const kWiseLora = partOf({
  name: 'k-wise-lora',
  title: 'The same rankings with a language model, by adapters',
  text: `${TEXT} The body is a language model with low-rank adapters, which reads prompt and answer as plain text; prompts have up to 120 letters and answers are cut to 160.`,
  skipped: (study) =>
    withoutRankings(study) ??
    (study.model === undefined
      ? 'it needs --model FOLDER, a checkpoint such as SmolLM2-135M-Instruct'
      : undefined),
  sizeOf: (study) => ({
    rankings: size(study, 40, 3),
    heldOut: size(study, 40, 3),
    letters: { prompt: 120, answer: size(study, 160, 60) },
  }),
  // One, for what it trains takes as long as the other parts.
  seedsOf: ({ seeds }) => seeds.slice(0, 1),
  first: () => [],
  settings: ({ model }) => ({ model, peft: { r: 16 }, microBatchTokens: 512 }),
  versions: 3,
  learningRates: { reward: 2e-4, policy: 1e-4 },
});

function partOf(body: Body): Part {
  const { name, title, text, skipped } = body;
  return {
    ...{ name, title, text, skipped },
    async answer(study, { carry }) {
      const source = study.alpaca!;
      await stat(join(source, 'train.jsonl'));
      const files = await alpacaFiles(source, join(study.files, name), body.sizeOf(study));
      const plan = planOf(body, study, files);
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
      const [kwise, shuffled] = series.map(({ points }) => points.map(({ estimate }) => estimate.mean)) as [
        number[],
        number[],
      ];
      return {
        result: `After ${plan.passes.at(-1)!.toFixed(0)} passes the K-wise model tells ${fixed(kwise.at(-1))} of the held-out pairs right, that of shuffled pairs ${fixed(shuffled.at(-1))}; at their best, of ${plan.passes.length} versions, ${fixed(Math.max(...kwise))} and ${fixed(Math.max(...shuffled))}. ${files.counts.rankings} rankings to learn from, ${files.counts.pairs} pairs; ${files.counts.heldOut} rankings held out.`,
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
            title: 'Policies on the same rankings: accuracy of their rewards on pairs of held-out rankings',
            head: ['method', 'reward', 'before training', 'after'],
            rows: plan.policies.map(({ name, reward, before, runs }) => {
              const after = runs.flatMap(({ run }) => heldOut(run) ?? []);
              return [
                name,
                reward,
                before === undefined ? '0.500 by definition' : fixed(heldOut(before.run)),
                after.length > 0 ? written(meanEstimate(after), 3) : '',
              ];
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
}

function planOf(body: Body, study: StudyOptions, data: AlpacaFiles) {
  const { rankings, pairs, demonstrations, heldOut, counts } = data;
  const { name: part, learningRates } = body;
  const settings = { ...body.settings(study), allow };
  const seeds = body.seedsOf(study);
  const versions = size(study, body.versions, 1);
  const rankingsAStep = size(study, 8, 2);
  // Steps that divide into as many versions.
  const stepsFor = (items: number, batchSize: number) =>
    Math.ceil((items * size(study, PASSES, 1)) / batchSize / versions) * versions;
  const rewardOf = (name: string, data: string, items: number, batchSize: number) => ({
    name,
    runs: seeds.map((seed) => {
      const run = `study-${part}.${name}.s${seed}`;
      const steps = stepsFor(items, batchSize);
      const config = parseRunConfig({
        ...settings,
        ...{ run, seed, method: 'reward', data, steps, batchSize },
        checkpointEvery: steps / versions,
        optimizer: { learningRate: learningRates.reward },
      });
      const probes = Array.from({ length: versions }, (_, index) => {
        const step = ((index + 1) * steps) / versions;
        return rewardAccuracy(`${run}.at-${step}`, `run:${run}@${step}`, heldOut, settings);
      });
      return { config, probes };
    }),
  });
  // As many pairs a step as rankings of a step have, so that both take as many steps.
  const pairsAStep = Math.max(1, Math.round((rankingsAStep * counts.pairs) / counts.rankings));
  const rewards = [
    rewardOf('rankings', rankings, counts.rankings, rankingsAStep),
    rewardOf('shuffled-pairs', pairs, counts.pairs, pairsAStep),
  ];
  const policyOf = (method: string, own: object = {}) => {
    const same = { ...settings, ...own, method, data: rankings, testFraction: 0.15 };
    const runs = seeds.map((seed) =>
      parseRunConfig({
        ...same,
        ...{ run: `study-${part}.${method}.s${seed}`, seed },
        steps: stepsFor(counts.rankings, rankingsAStep),
        batchSize: rankingsAStep,
        optimizer: { learningRate: learningRates.policy },
      }),
    );
    return { same, runs };
  };
  const [pro, dpo] = [policyOf('pro'), policyOf('dpo', { dpo: { pairs: 'all' } })];
  const policies = [
    {
      name: 'PRO',
      reward: 'mean log-prob of a token',
      before: beforeTraining(`study-${part}.pro.before`, pro.same),
      runs: pro.runs,
    },
    { name: 'DPO on all pairs', reward: 'beta log (pi / reference)', before: undefined, runs: dpo.runs },
  ];
  return {
    rewards,
    policies,
    passes: Array.from({ length: versions }, (_, index) => ((index + 1) * size(study, PASSES, 1)) / versions),
    set: {
      experiment: `study-${part}`,
      first: body.first(study, demonstrations),
      members: [
        ...rewards.flatMap(({ runs }) => runs.map(({ config, probes }) => [config, ...probes])),
        ...policies.flatMap(({ before, runs }) => [...(before ? [before] : []), ...runs].map((run) => [run])),
      ],
    },
  };
}

const accuracyOf = (steps: RunMetrics['steps'], run: string): number[] =>
  (steps.get(run) as readonly MeasuredStep[] | undefined)?.flatMap(
    ({ metrics }) => metrics['eval/accuracy'] ?? [],
  ) ?? [];

const fixed = (value = Number.NaN): string => (Number.isFinite(value) ? value.toFixed(3) : 'none');
