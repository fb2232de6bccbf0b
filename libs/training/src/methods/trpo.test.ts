import { readFileSync } from 'node:fs';
import { parseModelConfig, withScalarHead } from '@rlhf-streams/model';
import { cpuEngine, type Engine, onnxPool } from '@rlhf-streams/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { begin, distance, initialParameters, runOf } from '../tiny.test.support.js';
import { layoutOf } from '../trainer/layout.js';
import { sequenceBatches, tokenCount } from './rows.js';
import { policyStep } from './trpo.js';

let pools: Engine[];
beforeAll(() => {
  pools = [1, 2].map((workers) => onnxPool({ workers }));
});
afterAll(() => Promise.all(pools.map((pool) => pool.close())));

interface Trial {
  kl: number;
  improvement: number;
}

/** One step in float64 by PyTorch: see fixtures/README.md. */
const fixture = JSON.parse(
  readFileSync(new URL('../../fixtures/trust_region.json', import.meta.url), 'utf8'),
) as {
  config: object;
  params: Record<
    'temperature' | 'delta' | 'cgDamping' | 'cgIterations' | 'backtrackCoef' | 'backtrackIterations',
    number
  >;
  shapes: Record<string, number[]>;
  theta: number[];
  v: number[];
  sequences: { promptTokens: number[]; tokens: number[] }[];
  advantages: number[];
  expected: {
    oldLogprobs: number[];
    gradient: number[];
    Fv: number[];
    x: number[];
    curvature: number;
    residual: number;
    size: number;
    trials: Trial[];
  };
};
const { sequences, params, expected } = fixture;
const model = parseModelConfig({ model_type: 'gpt2', bos_token_id: 0, eos_token_id: 0, ...fixture.config });
const layout = layoutOf({ policy: model, value: withScalarHead(model) });
const tokens = tokenCount(sequences);

/** A number a token, by sequence. */
function bySequence(numbers: readonly number[]): number[][] {
  let at = 0;
  return sequences.map(({ tokens }) => {
    at += tokens.length;
    return numbers.slice(at - tokens.length, at);
  });
}

/** A vector of the fixture in the order of the trainer's. */
const ordered = (vector: readonly number[]): Float32Array => {
  const sizes = Object.values(fixture.shapes).map((shape) => shape.reduce((a, b) => a * b));
  let at = 0;
  const parts = new Map(
    Object.keys(fixture.shapes).map((name, i) => {
      at += sizes[i]!;
      return [name, vector.slice(at - sizes[i]!, at)] as const;
    }),
  );
  return Float32Array.from([...layout.namesOf('policy').keys()].flatMap((name) => parts.get(name)!));
};

/** The run of the fixture. */
async function begun(engine: Engine, change: Record<string, unknown> = {}) {
  const { temperature, ...trpo } = params;
  const { trpo: changed, ...rest } = change;
  const config = runOf('trpo', {
    sampling: { temperature },
    trpo: { ...trpo, ...(changed as object) },
    microBatchSize: 2,
    ...rest,
  });
  const theta = ordered(fixture.theta);
  let at = 0;
  const p = initialParameters(layout);
  for (const name of layout.namesOf('policy').values()) {
    const { length } = p[name]!;
    p[name] = theta.slice(at, at + length);
    at += length;
  }
  const { trainer } = await begin(config, engine, { layout, from: p });
  return { trainer, step: { trainer, config: { ...config, steps: 1 }, step: 0 } };
}

/** F v over all of the fixture's tokens. */
async function fisherOf(engine: Engine, microBatchSize: number) {
  const { trainer } = await begun(engine, { microBatchSize });
  const { batches } = sequenceBatches(sequences, { microBatchSize, contextLength: model.contextLength });
  return {
    close: () => trainer.close(),
    of: (v: Float32Array) => trainer.lineSearch.fisher('fisher', batches, tokens, v),
  };
}

describe.each([
  ['the oracle', () => cpuEngine()],
  ['a pool', () => pools[1]!],
])('on %s', (_, engineOf) => {
  it('F v of a GPT-2 is that of PyTorch in float64', async () => {
    const F = await fisherOf(engineOf(), 2);
    expect(distance(ordered(expected.Fv), await F.of(ordered(fixture.v)))).toBeLessThan(1e-5);
    await F.close();
  });

  it('a step is that of PyTorch in float64: its direction, its length, its KL and its improvement', async () => {
    const { trainer, step } = await begun(engineOf());
    const { metrics } = await policyStep(step, sequences, {
      oldLogprobs: bySequence(expected.oldLogprobs),
      advantages: bySequence(fixture.advantages),
    });
    const [trial] = expected.trials as [Trial];
    const relative = {
      grad_norm: Math.hypot(...expected.gradient),
      'val/ratio': 1,
      'cg/iterations': params.cgIterations,
      'policy/line_search_steps': 1,
      'policy/accepted': 1,
      'policy/step_size': expected.size,
      'policy/kl': trial.kl,
      'policy/surrogate_improvement': trial.improvement,
    };
    for (const [name, value] of Object.entries(relative))
      expect(metrics[name as keyof typeof metrics] / value, name).toBeCloseTo(1, 4);
    const moved = ordered(fixture.theta).map((x, i) => x + expected.size * ordered(expected.x)[i]!);
    const { p } = await trainer.state();
    const theta = [...layout.namesOf('policy').values()].flatMap((name) => [...p[name]!]);
    expect(distance(moved, theta)).toBeLessThan(1e-4);
    await trainer.close();
  });
});
