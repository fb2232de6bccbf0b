/** Examples of the OpenAPI document: one run, as it is asked for and as it is shown. */
import type { RunConfigInput } from '@rlhf-streams/runs';
import type { StepMetrics } from './progress.js';
import { type Run, RunConfig, type RunSummary } from './view.js';

const ppo: RunConfigInput = {
  run: 'ppo-reviews',
  method: 'ppo',
  steps: 100,
  model: 'run:sft-reviews',
  scorers: ['run:rm-reviews'],
  prompts: 'bundled',
  ppo: { klCoef: 0.05 },
};

const sft: RunConfigInput = {
  run: 'sft-reviews',
  method: 'sft',
  steps: 200,
  model: { layers: 4, width: 128 },
  data: 'bundled',
  optimizer: { learningRate: 1e-3 },
};

export const configExamples = {
  sft: { summary: 'Supervised fine-tuning of a new model on the bundled corpus', value: sft },
  ppo: { summary: 'PPO from what other runs trained', value: ppo },
};

export const stepExample: StepMetrics = {
  step: 41,
  split: 'train',
  policyVersion: 42,
  time: '2026-03-02T09:14:07.412Z',
  metrics: { 'objective/kl': 1.93, 'objective/scores': 0.71, 'policy/clipfrac_avg': 0.04 },
};

const artifact = {
  uri: 'artifact:policy',
  sha256: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
};

export const summaryExample: RunSummary = {
  run: 'ppo-reviews',
  method: 'ppo',
  status: 'running',
  requestedAt: '2026-03-02T09:12:00.000Z',
  steps: { done: 42, total: 101 },
  policyVersion: 42,
};

export const requestedExample: Run = {
  run: 'ppo-reviews',
  method: 'ppo',
  status: 'requested',
  requestedAt: summaryExample.requestedAt,
  steps: { done: 0, total: 100 },
  config: RunConfig.parse(ppo),
  links: {
    self: '/v1/runs/ppo-reviews',
    metrics: '/v1/runs/ppo-reviews/metrics',
    events: '/v1/runs/ppo-reviews/events',
    cancel: '/v1/runs/ppo-reviews/cancel',
    extend: '/v1/runs/ppo-reviews/extend',
  },
};

export const runExample: Run = {
  ...requestedExample,
  ...summaryExample,
  artifacts: { policy: artifact },
  policy: { version: 42, step: 42, artifact },
  metrics: stepExample,
};

export const eventsExample = `id: 5d1c0a7e~0.0.0.3~2.0.0.0.16
event: step.completed
data: {"id":"ppo-reviews/41","type":"step.completed","topic":"training-metrics","time":"${stepExample.time}","data":{"run":"ppo-reviews","step":41,"split":"train","policyVersion":42,"metrics":{"objective/kl":1.93}}}

`;
