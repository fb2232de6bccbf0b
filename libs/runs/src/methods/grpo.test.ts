import { describe, expect, it } from 'vitest';
import { parseRunConfig, runConfigMistakes } from '../run-config.js';
import { specOf } from './index.js';

const run = { run: 'r', method: 'grpo', steps: 5, model: 'm', prompts: 'd', scorers: ['run:reward'] };
const mistakesOf = (json: object) =>
  runConfigMistakes(json).map(({ path, message }) => `${path.join('.')}: ${message}`);

describe('a run of GRPO', () => {
  it('has the defaults of TRL, and of the paper for the KL', () => {
    expect(parseRunConfig(run)).toMatchObject({
      samplesPerPrompt: 8,
      maxStaleness: 0,
      optimizer: { learningRate: 1e-6 },
      grpo: {
        numIterations: 1,
        numMiniBatches: 1,
        epsilon: 0.2,
        beta: 0.04,
        klEstimator: 'k3',
        scaleRewards: 'group',
        lossType: 'grpo',
        missingEosPenalty: 0,
        scoreNormalisation: 'none',
      },
    });
  });

  it('compares at least two samples of a prompt', () => {
    expect(mistakesOf({ ...run, samplesPerPrompt: 1 })).toEqual([
      'samplesPerPrompt: expected integer from 2 to 1024, got 1',
    ]);
  });

  it('has no KL in the reward', () => {
    expect(mistakesOf({ ...run, grpo: { klCoef: 0.1 } })).toEqual([
      'grpo.klCoef: no such setting; did you mean beta?',
    ]);
    expect(mistakesOf({ ...run, grpo: { klEstimator: 'k1' } })).toEqual([
      "grpo.klEstimator: expected k2 or k3: in a loss the gradient of k1 is 0 in expectation, so that it holds nothing back, got 'k1': did you mean k2?",
    ]);
  });

  it('issues steps ahead as far as its rollouts may be old', () => {
    expect(specOf(parseRunConfig({ ...run, maxStaleness: 2 }))).toMatchObject({ ahead: 2, onPolicy: true });
  });
});
