import { describe, expect, it } from 'vitest';
import { parseRunConfig, runConfigMistakes } from '../run-config.js';
import { specOf } from './index.js';

const run = {
  run: 'r',
  method: 'reinforce',
  steps: 5,
  model: 'm',
  prompts: 'd',
  scorers: ['run:reward'],
};
const leaveOneOut = { ...run, reinforce: { baseline: 'leave_one_out' } };

const mistakesOf = (json: object) =>
  runConfigMistakes(json).map(({ path, message }) => `${path.join('.')}: ${message}`);

describe('a run of REINFORCE', () => {
  it('has the defaults of PPO where it has its settings', () => {
    const { reinforce, optimizer, sampling } = parseRunConfig(run) as Extract<
      ReturnType<typeof parseRunConfig>,
      { method: 'reinforce' }
    >;
    expect(reinforce).toEqual({
      baseline: 'batch_mean',
      klCoef: 0.05,
      klEstimator: 'k1',
      missingEosPenalty: 0,
      scoreNormalisation: 'none',
      rewardToGo: false,
      gamma: 1,
      vfCoef: 0.1,
    });
    expect(optimizer.learningRate).toBe(3e-6);
    expect(sampling).toEqual({ temperature: 0.7, topK: 0, topP: 1, maxNewTokens: 53 });
  });

  it.each([
    ['leave-one-out with one sample of each prompt', { ...leaveOneOut, samplesPerPrompt: 1 }, 'got 1'],
    ['leave-one-out with as many samples as a run has by default', leaveOneOut, 'got nothing'],
  ])('is refused for %s', (_, json, got) => {
    expect(mistakesOf(json)).toEqual([
      `samplesPerPrompt: expected at least 2 samples of each prompt, which the baseline leave_one_out compares with each other, ${got}`,
    ]);
  });

  it('is refused for a mean over a single response', () => {
    expect(mistakesOf({ ...run, batchSize: 1 })).toEqual([
      'batchSize: expected at least 2 responses a step, which the baseline batch_mean compares with each other, got 1',
    ]);
    expect(mistakesOf({ ...run, batchSize: 1, samplesPerPrompt: 2 })).toEqual([]);
  });

  it('trains a value model for the baseline value alone', () => {
    const learned = { ...run, reinforce: { baseline: 'value' } };
    const rolesOf = (json: object) => specOf(parseRunConfig(json)).trains.map(({ role }) => role);
    expect([rolesOf(run), rolesOf(learned)]).toEqual([['policy'], ['policy', 'value']]);
    expect(specOf(parseRunConfig(learned)).models.map(({ name }) => name)).toContain('value');
    expect(mistakesOf({ ...learned, value: 'run:reward' })).toEqual([]);
    expect(mistakesOf({ ...run, value: 'run:reward' })).toEqual([
      "value: expected reinforce.baseline to be value, the only one that has a value model, got 'run:reward'",
    ]);
  });

  it('discounts rewards from a token on, not that of a whole response', () => {
    expect(mistakesOf({ ...run, reinforce: { gamma: 0.9, rewardToGo: true } })).toEqual([]);
    expect(mistakesOf({ ...run, reinforce: { gamma: 0.9 } })).toEqual([
      'reinforce.gamma: expected 1, or reinforce.rewardToGo: the reward of a whole response is not discounted, got 0.9',
    ]);
  });

  it('is refused for k1 in the loss, with the reason', () => {
    expect(mistakesOf({ ...run, reinforce: { klLoss: { estimator: 'k1', coef: 0.1 } } })).toEqual([
      "reinforce.klLoss.estimator: expected k2 or k3: in a loss the gradient of k1 is 0 in expectation, so that it holds nothing back, got 'k1': did you mean k2?",
    ]);
    expect(mistakesOf({ ...run, reinforce: { klLoss: { estimator: 'k4', coef: 0.1 } } })).toEqual([
      "reinforce.klLoss.estimator: expected one of k2, k3, got 'k4': did you mean k2?",
    ]);
    expect(mistakesOf({ ...run, reinforce: { klLoss: { coef: 0.1 } } })).toEqual([]);
  });

  it('takes leave-one-out over the samples of one prompt', () => {
    expect(mistakesOf({ ...leaveOneOut, batchSize: 1, samplesPerPrompt: 2 })).toEqual([]);
  });

  it('is on-policy: no step is issued ahead of the version that it samples from', () => {
    expect(specOf(parseRunConfig(run))).toMatchObject({ ahead: 0, onPolicy: true });
    expect(mistakesOf({ ...run, maxStaleness: 1 })).toEqual([
      expect.stringMatching(/^maxStaleness: no such setting; .* this is 'reinforce'$/),
    ]);
  });
});
