import { describe, expect, it } from 'vitest';
import { parseRunConfig, runConfigMistakes } from '../run-config.js';
import { type ConfigOf, specOf } from './index.js';

const run = { run: 'r', method: 'kto', steps: 5, model: 'm', data: 'feedback:thumbs' };
const mistakesOf = (json: object) =>
  runConfigMistakes(json).map(({ path, message }) => `${path.join('.')}: ${message}`);

describe('a run of KTO', () => {
  it("has TRL's defaults", () => {
    const { kto, optimizer } = parseRunConfig(run) as ConfigOf<'kto'>;
    expect(kto).toEqual({ beta: 0.1, desirableWeight: 1, undesirableWeight: 1, maxLength: 1024 });
    expect(optimizer.learningRate).toBe(1e-6);
  });

  it('joins thumbs with their log-probs under the reference', () => {
    const { data, joins } = specOf(parseRunConfig(run));
    expect(data).toMatchObject({ kind: 'thumbs', source: { from: 'feedback', collection: 'thumbs' } });
    expect(joins).toEqual(['thumbs', 'reference-logprobs']);
  });

  it('is refused for steps of one thumb: KL would be estimated from it alone', () => {
    expect(mistakesOf({ ...run, batchSize: 1 })).toEqual([
      'batchSize: expected at least 2 thumbs a step, over which KL is estimated, got 1',
    ]);
  });

  it('is refused for weights below 0, and reads the names of the paper', () => {
    expect(mistakesOf({ ...run, kto: { desirableWeight: -1 } })).toHaveLength(1);
    expect(mistakesOf({ ...run, kto: { lambda_u: 1 } })[0]).toContain('undesirableWeight');
  });
});
