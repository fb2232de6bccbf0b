import { describe, expect, it } from 'vitest';
import { parseRunConfig, runConfigMistakes } from '../run-config.js';
import { type ConfigOf, specOf } from './index.js';

const run = { run: 'r', method: 'onlineDpo', steps: 5, model: 'm', prompts: 'd', scorers: ['run:reward'] };
const mistakesOf = (json: object) =>
  runConfigMistakes(json).map(({ path, message }) => `${path.join('.')}: ${message}`);

describe('a run of online DPO', () => {
  it('has the defaults of DPO, and compares two samples of each prompt', () => {
    const { onlineDpo, samplesPerPrompt, optimizer } = parseRunConfig(run) as ConfigOf<'onlineDpo'>;
    expect(onlineDpo).toEqual({
      beta: 0.1,
      lossType: 'sigmoid',
      labelSmoothing: 0,
      alpha: 0,
      simpoGamma: 0.5,
      pairs: 'all',
      labels: 'scores',
      missingEosPenalty: 0,
    });
    expect(samplesPerPrompt).toBe(2);
    expect(optimizer.learningRate).toBe(1e-6);
  });

  it('joins rollouts with scores and log-probs under the reference, within its bound of staleness', () => {
    const { joins, ahead, onPolicy, publishEvery } = specOf(parseRunConfig({ ...run, maxStaleness: 2 }));
    expect(joins).toEqual(['rollouts', 'rewards', 'reference-logprobs']);
    expect({ ahead, onPolicy, publishEvery }).toEqual({ ahead: 2, onPolicy: true, publishEvery: 1 });
    expect(specOf(parseRunConfig(run)).ahead).toBe(0);
  });

  it('is refused for single samples, which are compared with none', () => {
    expect(mistakesOf({ ...run, samplesPerPrompt: 1 })).toEqual([
      'samplesPerPrompt: expected integer from 2 to 1024, got 1',
    ]);
  });

  it('is refused for alpha where the loss has no place for it, and for labels that nobody gives yet', () => {
    expect(mistakesOf({ ...run, onlineDpo: { lossType: 'ipo', alpha: 0.1 } })[0]).toContain(
      'onlineDpo.alpha',
    );
    expect(mistakesOf({ ...run, onlineDpo: { labels: 'people' } })[0]).toContain('scores, sampled');
  });
});
