/** Generation by models that are adapters on one base: side by side, one beside another. */
import { type Buffers, cpuEngine, type Engine, type Frozen, onnxEngine } from '@rlhf-streams/tensor';
import { describe, expect, it } from 'vitest';
import { mergeAdapter } from '../adapters/merge.js';
import { withAdapter } from '../adapters/peft-config.js';
import { isOfAdapter } from '../adapters/tensors.js';
import { parseModelConfig } from '../architectures/index.js';
import { keyFor } from '../sampling/rollout-draws.js';
import { logprobScorer } from '../scoring.js';
import { initialiseWeights, type WeightTensor } from '../weights.js';
import { generationState } from './cache.js';
import { createGenerator } from './generator.js';
import { decodeName, generationPrograms } from './programs.js';
import type { Completion, GenerationRequest, Weights } from './request.js';

const base = parseModelConfig({
  model_type: 'gpt2',
  vocab_size: 97,
  n_positions: 48,
  n_embd: 32,
  n_layer: 2,
  n_head: 4,
  n_inner: 64,
});
const peft = { rank: 4, alpha: 16, rslora: false, targetModules: ['c_attn', 'c_fc'], modulesToSave: [] };
const config = withAdapter(base, peft, 'test');

type Named = readonly (readonly [string, WeightTensor])[];
const buffers = (tensors: Named): Buffers =>
  Object.fromEntries(tensors.map(([name, { data }]) => [name, data]));
const scaled = (tensors: Named, by: number): Named =>
  tensors.map(([name, { shape, data }]) => [name, { shape, data: data.map((x) => x * by) }]);

const baseTensors = scaled([...initialiseWeights(base, 1)], 4);
const frozen: Frozen = { hash: 'base', values: buffers(baseTensors) };
/** A and B are drawn, and B is not 0 as in a new adapter: each makes another model of the base. */
const adapterOf = (seed: number): Named =>
  [...initialiseWeights(config, seed)]
    .filter(([name]) => isOfAdapter(config, name))
    .map(([name, { shape, data }]) => [
      name,
      { shape, data: data.map((_, i) => 0.3 * Math.sin(seed * 31 + i * 7 + name.length)) },
    ]);
const adapters = [1, 2, 3, 4].map(
  (seed): Weights => ({ version: `adapter ${seed}`, parameters: buffers(adapterOf(seed)) }),
);

const request = (id: number, more: Partial<GenerationRequest> = {}): GenerationRequest => ({
  weights: adapters[id % 4]!,
  promptTokens: Array.from({ length: 1 + ((id * 5) % 21) }, (_, i) => (id * 31 + i * 7) % 97),
  sampling: { temperature: 0.9, topK: id % 2 ? 40 : 0, topP: 1 },
  maxNewTokens: 3 + (id % 17),
  stopTokens: [0, 1, 2],
  key: keyFor(7, `run/0/${id}/0`),
  ...more,
});
const generatorOn = (engine: Engine, slots: number) => createGenerator(engine, config, { slots, frozen });

describe('adapters on one base', () => {
  it('generate what each does alone, in any number of slots and whichever take turns', async () => {
    const ids = Array.from({ length: 16 }, (_, id) => id);
    const alone = new Map<number, Completion>();
    for (const turn of [0, 1, 2, 3]) {
      const generator = generatorOn(onnxEngine(), 3);
      for (const id of ids.filter((id) => id % 4 === turn))
        alone.set(id, await generator.generate(request(id)));
    }
    const onDevice = generatorOn({ ...onnxEngine(), place: 'device' }, 6);
    const drawn = await Promise.all(ids.map((id) => onDevice.generate(request(id))));
    expect(drawn.map(({ tokens }) => tokens)).toEqual(ids.map((id) => alone.get(id)!.tokens));
    for (const slots of [4, 7]) {
      const generator = generatorOn(onnxEngine(), slots);
      const mixed = await Promise.all(ids.map((id) => generator.generate(request(id))));
      expect(mixed).toEqual(ids.map((id) => alone.get(id)));
    }
  });

  it('are the models that they make of it: merged weights give the same tokens, and their log-probs', async () => {
    const merged = mergeAdapter(config, new Map(baseTensors), new Map(adapterOf(1)));
    const whole = createGenerator(onnxEngine(), merged.config, { slots: 4 });
    const weights = { version: 'merged', parameters: buffers([...merged.tensors]) };
    const generator = generatorOn(onnxEngine(), 4);
    const scorer = logprobScorer(onnxEngine(), config, frozen);
    for (const id of [0, 4, 8]) {
      const adapted = await generator.generate(request(id));
      const expected = await whole.generate(request(id, { weights }));
      expect(adapted.tokens).toEqual(expected.tokens);
      const { promptTokens } = request(id);
      const item = { tokens: [...promptTokens, ...adapted.tokens], temperature: 0.9 };
      // Another adapter is scored beside it: each is there for its own sequences.
      const [[scores], [others]] = await Promise.all([
        scorer.score([item], adapters[0]),
        scorer.score([item], adapters[1]),
      ]);
      adapted.logprobs.forEach((logprob, i) => {
        expect(logprob).toBeCloseTo(expected.logprobs[i]!, 4);
        expect(scores!.at(promptTokens.length - 1 + i)).toBeCloseTo(logprob, 4);
      });
      expect(others).not.toEqual(scores);
    }
  });

  it('wait for no other one, however much that is asked for: with four in use, for a slot that is free a generation later', async () => {
    const generator = generatorOn(cpuEngine(), 4);
    const LENGTH = 6;
    let tokens = 0;
    const of = (adapter: number, id: number, onToken?: () => boolean) =>
      generator.generate(
        request(id, {
          weights: adapters[adapter]!,
          promptTokens: [5],
          maxNewTokens: LENGTH,
          stopTokens: [],
          ...(onToken && { onToken }),
        }),
      );
    let isOver = false;
    /** Tokens of the first adapter, of which four are made at a time while nobody else comes. */
    const count = () => {
      tokens++;
      return false;
    };
    const flood = Array.from({ length: 8 }, async (_, lane) => {
      for (let id = lane; !isOver; id += 8) await of(0, id, count);
    });
    await of(0, 100);
    const waits = await Promise.all(
      [1, 2, 3].map(async (adapter) => {
        const came = tokens;
        let waited: number | undefined;
        await of(adapter, adapter, () => {
          waited ??= tokens - came;
          return false;
        });
        return waited!;
      }),
    );
    isOver = true;
    await Promise.all(flood);
    // What was under way in the four slots ends, and no more begins before them.
    expect(Math.max(...waits)).toBeLessThanOrEqual(4 * LENGTH);
  });

  it('whose numbers are not finite leave nothing of them where others are under way', async () => {
    const shape = { slots: 4, capacity: 16 };
    const workspace = await onnxEngine().open(generationState(config, shape), { frozen });
    await workspace.add(generationPrograms(config, shape, frozen));
    const diverged = Object.entries(adapters[0]!.parameters).map(
      ([name, values]) => [name, values.map(() => Number.NaN)] as const,
    );
    await workspace.load(Object.fromEntries(diverged));
    await workspace.run(decodeName(4), {
      ids: new Int32Array(4),
      positions: Int32Array.of(0, 3, 5, 2),
      temperature: new Float32Array(4).fill(1),
      stepping: Int32Array.of(0, 1, 0, 0),
    });
    const { 'values.1': values } = await workspace.read(['values.1']);
    const ofSlot = values!.length / 4;
    const finite = [0, 1, 2, 3].map((slot) =>
      values!.subarray(slot * ofSlot, (slot + 1) * ofSlot).every(Number.isFinite),
    );
    expect(finite).toEqual([true, false, true, true]);
  });

  it('are changed by loading their own tensors alone', async () => {
    const inner = onnxEngine();
    const loads: string[][] = [];
    const engine: Engine = {
      ...inner,
      async open(...asked) {
        const workspace = await inner.open(...asked);
        const load: typeof workspace.load = (values) => {
          loads.push(Object.keys(values));
          return workspace.load(values);
        };
        return { ...workspace, load };
      },
    };
    const generator = generatorOn(engine, 4);
    const long = { maxNewTokens: 3, stopTokens: [], promptTokens: [7] };
    await Promise.all([0, 1].map((id) => generator.generate(request(id, long))));
    expect(loads.length).toBeGreaterThan(1);
    for (const names of loads) expect(names.every((name) => isOfAdapter(config, name))).toBe(true);
  });
});

it('whole versions take turns of a generation', async () => {
  const generator = createGenerator(cpuEngine(), base, { slots: 4 });
  const whole = [1, 2].map(
    (seed): Weights => ({ version: `${seed}`, parameters: buffers([...initialiseWeights(base, seed)]) }),
  );
  const of = (version: number, id: number) =>
    generator.generate(
      request(id, { weights: whole[version]!, promptTokens: [5], maxNewTokens: 4, stopTokens: [] }),
    );
  let generations = 0;
  let isOver = false;
  const flood = Array.from({ length: 8 }, async (_, lane) => {
    for (let id = lane; !isOver; id += 8) {
      await of(0, id);
      generations++;
    }
  });
  await of(0, 100);
  const before = generations;
  await of(1, 200);
  const meanwhile = generations - before;
  isOver = true;
  await Promise.all(flood);
  // Those that came before it, and those that had slots.
  expect(meanwhile).toBeLessThanOrEqual(12);
});
