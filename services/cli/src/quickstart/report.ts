import { cpus } from 'node:os';
import type { MetricSeries, ReportData, StageReport } from '@rlhf-streams/evaluation';
import { renderReport } from '@rlhf-streams/evaluation/report';
import type { Verdict } from '@rlhf-streams/sentiment';
import type { Results } from './results.js';

export interface ReportFacts {
  readonly data: string;
  readonly seed: number;
  /** What computed; unknown of services that were started elsewhere. */
  readonly engine: string | undefined;
  readonly seconds: number;
  readonly createdAt: Date;
  readonly checkpoints: readonly { readonly name: string; readonly path: string }[];
}

interface StagePlots {
  readonly run: string;
  readonly name: string;
  readonly description: string;
  /** The metrics to plot, by name, with their units. */
  readonly metrics: Readonly<Record<string, string>>;
  readonly groups?: StageReport['groups'];
}

const stages: readonly StagePlots[] = [
  {
    run: 'sft',
    name: 'SFT',
    description: 'Mean negative log-likelihood of the review sentences, in nats per token',
    metrics: { loss: 'nats per token', grad_norm: 'L2 norm' },
  },
  {
    run: 'reward',
    name: 'Reward model',
    description:
      'Bradley-Terry likelihood of the comparisons that the gold reward ranked; equal scores count half',
    metrics: { loss: 'nats per pair', accuracy: 'share of pairs', margin: 'score' },
  },
  {
    run: 'ppo',
    name: 'PPO',
    description: 'Reward-model score with a KL penalty to the SFT policy; the gold reward is only watched',
    metrics: {
      'objective/scores': 'score',
      'scores/gold': 'score',
      'objective/kl': 'nats per sequence',
      'rollout/length': 'tokens',
      'loss/policy_avg': 'clipped surrogate',
      'loss/value_avg': 'half squared error',
      'policy/entropy_avg': 'nats per token',
      'policy/clipfrac_avg': 'share of tokens',
      'val/var_explained': 'share of variance',
    },
    groups: [{ title: 'reward', series: ['objective/scores', 'scores/gold'] }],
  },
  {
    run: 'dpo',
    name: 'DPO',
    description: 'The same comparisons, without a reward model',
    metrics: {
      loss: 'nats per pair',
      'rewards/accuracies': 'share of pairs',
      'rewards/chosen': 'implicit reward',
      'rewards/rejected': 'implicit reward',
      'rewards/margins': 'implicit reward',
    },
    groups: [
      { title: 'implicit rewards', series: ['rewards/chosen', 'rewards/rejected', 'rewards/margins'] },
    ],
  },
];

export function quickstartReport(results: Results, verdict: Verdict, facts: ReportFacts): string {
  const data: ReportData = {
    title: 'rlhf-streams quickstart: controlled sentiment',
    createdAt: facts.createdAt.toISOString(),
    facts: [
      ['Corpus', facts.data === 'bundled' ? 'bundled review sentences' : facts.data],
      ['Seed', String(facts.seed)],
      ...(facts.engine === undefined ? [] : [['Engine', facts.engine] as const]),
      ['Time', `${facts.seconds.toFixed(0)} s`],
      ['Machine', `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown CPU'}`],
      ['Node', process.version],
    ],
    policies: results.policies,
    verdict,
    stages: stages.map(({ run, metrics, ...stage }) => ({
      ...stage,
      series: pick(results.metrics.get(run), metrics),
    })),
    samples: results.samples,
    checkpoints: facts.checkpoints,
  };
  return renderReport(data);
}

const pick = (series: readonly MetricSeries[] = [], metrics: StagePlots['metrics']): MetricSeries[] =>
  Object.entries(metrics).flatMap(([name, unit]) => {
    const found = series.find((each) => each.name === name);
    return found ? [{ ...found, unit }] : [];
  });
