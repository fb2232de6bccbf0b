/** Examples of the OpenAPI document: one experiment, as it is asked for and as it is shown. */
import type { ExperimentInput } from '@rlhf-streams/runs';
import { configExamples, summaryExample as ppo } from '../runs/examples.js';
import type { RunSummary } from '../runs/view.js';
import type { Experiment, ExperimentSummary } from './view.js';

const tags = { corpus: 'reviews' };

export const requestExample: ExperimentInput = {
  experiment: 'reviews',
  tags,
  runs: [configExamples.sft.value, { ...configExamples.ppo.value, scorers: ['gold:bundled'] }],
};

const requestedAt = '2026-03-02T09:12:00.000Z';
const sft: RunSummary = {
  run: 'sft-reviews',
  method: 'sft',
  status: 'running',
  experiment: 'reviews',
  tags,
  requestedAt,
  steps: { done: 42, total: 200 },
  policyVersion: 42,
};

export const experimentExample: Experiment = {
  experiment: 'reviews',
  tags,
  status: 'running',
  requestedAt,
  runs: [
    sft,
    {
      run: ppo.run,
      method: 'ppo',
      status: 'requested',
      experiment: 'reviews',
      tags,
      waitsFor: ['sft-reviews'],
      requestedAt,
      steps: { done: 0, total: 100 },
    },
  ],
  links: {
    self: '/v1/experiments/reviews',
    runs: '/v1/runs?experiment=reviews',
    cancel: '/v1/experiments/reviews/cancel',
  },
};

export const summaryExample: ExperimentSummary = {
  ...experimentExample,
  runs: { total: 2, ended: 0, completed: 0 },
};
