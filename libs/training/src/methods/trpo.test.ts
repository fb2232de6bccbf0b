import { readFileSync } from 'node:fs';
import { createGenerator, keyFor, parseModelConfig, withScalarHead } from '@rlhf-streams/model';
import { cpuEngine, type Engine, onnxEngine, onnxPool } from '@rlhf-streams/tensor';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  begin,
  bitsOf,
  distance,
  episodeItem,
  initialParameters,
  itemsFor,
  language,
  oneBatch,
  runOf,
} from '../tiny.test.support.js';
import { layoutOf } from '../trainer/layout.js';
import type { InferenceProgram } from '../trainer/program.js';
import { nextTokenLogits } from './forward.js';
import { type Sequence, sequenceBatches, sequenceInputs, tokenCount } from './rows.js';
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

describe('F', () => {
  const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
  const { length } = fixture.theta;

  it('is symmetric and positive semidefinite', async () => {
    const F = await fisherOf(pools[0]!, 5);
    const entry = fc.float({ min: -1, max: 1, noNaN: true });
    const vector = fc.array(entry, { minLength: length, maxLength: length }).map((v) => Float32Array.from(v));
    await fc.assert(
      fc.asyncProperty(vector, vector, async (u, v) => {
        const [Fu, Fv] = [await F.of(u), await F.of(v)];
        const scale = 1e-3 + Math.sqrt(dot(u, Fu) * dot(v, Fv));
        expect(Math.abs(dot(u, Fv) - dot(v, Fu)) / scale).toBeLessThan(1e-4);
        expect(dot(v, Fv)).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 10 },
    );
    await F.close();
  });

  it('does not depend on micro-batches, nor to the bit on workers', async () => {
    const v = ordered(fixture.v);
    const product = async (engine: Engine, microBatchSize: number) => {
      const F = await fisherOf(engine, microBatchSize);
      const Fv = await F.of(v);
      await F.close();
      return Fv;
    };
    const [whole, cut] = [await product(pools[1]!, 5), await product(pools[1]!, 1)];
    expect(distance(whole, cut)).toBeLessThan(1e-5);
    expect(await product(pools[0]!, 1)).toEqual(cut);
  });
});

it('Fisher-vector products over part of the responses: other ones each step, the same each time', async () => {
  const numbers = {
    oldLogprobs: bySequence(expected.oldLogprobs),
    advantages: bySequence(fixture.advantages),
  };
  const sizes = async (fisherFraction: number, steps: readonly number[]) => {
    const taken: number[] = [];
    for (const number of steps) {
      const { trainer, step } = await begun(pools[1]!, { trpo: { fisherFraction, cgIterations: 3 } });
      const { metrics } = await policyStep({ ...step, step: number }, sequences, numbers);
      taken.push(metrics['policy/step_size']);
      await trainer.close();
    }
    return taken;
  };
  expect(new Set(await sizes(1, [0, 1])).size).toBe(1);
  const [first, again, ...later] = await sizes(0.4, [0, 0, 1, 2]);
  expect(again).toBe(first);
  expect(later).not.toEqual([first, first]);
});

describe('a step that is not made', () => {
  it('leaves policy and optimizer as they were, to the bit', async () => {
    // The Fisher information of one response knows nothing of what the step does to others: the only step tried goes too far.
    const { trainer, step } = await begun(pools[1]!, {
      trpo: { fisherFraction: 0.2, cgDamping: 1e-4, backtrackIterations: 1 },
    });
    const before = await bitsOf({ trainer });
    const { metrics } = await policyStep(step, sequences, {
      oldLogprobs: bySequence(expected.oldLogprobs),
      advantages: bySequence(fixture.advantages),
    });
    expect(metrics).toMatchObject({
      'policy/accepted': 0,
      'policy/line_search_steps': 1,
      'policy/step_size': 0,
      'policy/kl': 0,
      'policy/surrogate_improvement': 0,
    });
    expect(await bitsOf({ trainer })).toEqual(before);
    await trainer.close();
  });

  it('because a program failed is taken back, and leaves nothing behind', async () => {
    const failing = { after: Number.POSITIVE_INFINITY, program: '' };
    const engine: Engine = {
      ...pools[1]!,
      async open(state, options) {
        const workspace = await pools[1]!.open(state, options);
        return {
          ...workspace,
          async run(program, feeds) {
            if (program.startsWith(failing.program) && --failing.after < 0) throw new Error('out of order');
            return workspace.run(program, feeds);
          },
        };
      },
    };
    const items = itemsFor('trpo', 5);
    const config = runOf('trpo', { microBatchSize: 2, trpo: { cgIterations: 2 } });
    const [spoilt, straight] = [await begin(config, engine), await begin(config, pools[1]!)];
    const before = await bitsOf(spoilt);
    for (const program of ['fisher of', 'trial of', 'gradient of surrogate']) {
      Object.assign(failing, { after: 1, program });
      await expect(spoilt.update(items)).rejects.toThrow('out of order');
      failing.after = Number.POSITIVE_INFINITY;
      expect(await bitsOf(spoilt), program).toEqual(before);
    }
    for (const run of [spoilt, straight]) await run.update(items);
    expect(await bitsOf(spoilt)).toEqual(await bitsOf(straight));
    for (const { trainer } of [spoilt, straight]) await trainer.close();
  });
});

it('makes a rewarded token likelier, in steps that stay within the trust region', async () => {
  const GOOD = 7;
  const delta = 0.05;
  const allLogits: InferenceProgram = {
    roles: ['policy'],
    inputs: sequenceInputs(),
    infer: ({ policy }, batch) => ({ logits: nextTokenLogits(language, policy, batch) }),
  };
  const config = runOf('trpo', {
    optimizer: { learningRate: 1e-2, schedule: 'constant' },
    sampling: { temperature: 1, maxNewTokens: 4 },
    trpo: { delta, klCoef: 0.01, cgIterations: 5, numValueEpochs: 8 },
    microBatchSize: 16,
  });
  const run = await begin(config, pools[1]!, { programs: { inference: { allLogits } } });
  const generator = createGenerator(onnxEngine(), language);
  /** log pi over the vocabulary behind each token, in float64. */
  const logprobs = async (sequences: readonly Sequence[]) => {
    const V = language.vocabSize;
    const rows: number[][] = [];
    for (let from = 0; from < sequences.length; from += 16) {
      const part = sequences.slice(from, from + 16);
      const [{ logits }] = (await run.trainer.infer('allLogits', [oneBatch(part)])) as [
        { logits: Float32Array },
      ];
      for (let n = 0; n < tokenCount(part); n++) {
        const row = [...logits.subarray(n * V, (n + 1) * V)];
        const most = Math.max(...row);
        const logSum = most + Math.log(row.reduce((sum, z) => sum + Math.exp(z - most), 0));
        rows.push(row.map((z) => z - logSum));
      }
    }
    return rows;
  };
  const meanKl = (old: number[][], now: number[][]) =>
    old.reduce(
      (sum, row, n) => sum + row.reduce((kl, lp, v) => kl + Math.exp(lp) * (lp - now[n]![v]!), 0),
      0,
    ) / old.length;

  const prompt = [0, 5];
  const steps = [];
  for (let step = 0; step < 12; step++) {
    const weights = { version: `${step}`, parameters: await run.trainer.parameters('policy') };
    const items = await Promise.all(
      Array.from({ length: 32 }, async (_, index) => {
        const id = `tiny/${step}/${index}/0`;
        const { tokens, logprobs } = await generator.generate({
          weights,
          promptTokens: prompt,
          sampling: { temperature: 1, topK: 0, topP: 1 },
          maxNewTokens: 4,
          stopTokens: [],
          key: keyFor(0, id),
        });
        const score = tokens.filter((token) => token === GOOD).length;
        return episodeItem(id, { promptTokens: prompt, tokens }, { logprobs, reference: logprobs, score });
      }),
    );
    const sampled = items.map(({ rollout }) => rollout!);
    const old = await logprobs(sampled);
    const metrics = await run.update(items);
    const kl = meanKl(old, await logprobs(sampled));
    expect(metrics['val/ratio']).toBeCloseTo(1, 4);
    expect(metrics['policy/kl']).toBeCloseTo(kl, 5);
    expect(kl).toBeLessThan(delta * (1 + 1e-4));
    if (metrics['policy/accepted'] === 1) expect(metrics['policy/surrogate_improvement']).toBeGreaterThan(0);
    else expect(kl).toBe(0);
    steps.push({ score: metrics['objective/scores']!, kl });
  }
  const mean = (values: readonly { score: number }[]) =>
    values.reduce((sum, { score }) => sum + score, 0) / values.length;
  expect(mean(steps.slice(0, 3))).toBeLessThan(0.5);
  expect(mean(steps.slice(-3))).toBeGreaterThan(2);
  expect(Math.max(...steps.map(({ kl }) => kl))).toBeGreaterThan(0.5 * delta);
  generator.close();
  await run.trainer.close();
});
