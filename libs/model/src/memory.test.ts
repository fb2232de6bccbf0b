import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { trainedModel } from './adapters/trained.js';
import { newModelConfig } from './architectures/index.js';
import {
  bytesText,
  generationBytes,
  requireMemory,
  scoringBytes,
  trainingBytes,
  weightBytes,
} from './memory.js';
import type { ModelConfig } from './model-config.js';
import { withScalarHead } from './model-config.js';

const shapeOf = (layers: number, width: number): ModelConfig =>
  newModelConfig({ architecture: 'gpt2', vocabSize: 1024, contextLength: 64, width, layers, heads: 4 });
const llama = newModelConfig({
  ...{ architecture: 'llama', vocabSize: 2048, contextLength: 128 },
  ...{ layers: 2, width: 384, heads: 4, kvHeads: 2 },
});
const quickstart = shapeOf(4, 128);

describe('what a model needs', () => {
  const child = fileURLToPath(new URL('./memory.test.child.js', import.meta.url));
  /** The greatest peak of two: what is freed just before the model is loaded makes one look smaller. */
  const measured = async (role: string, model: ModelConfig): Promise<number> => {
    const peaks: number[] = [];
    for (let i = 0; i < 2; i++) {
      const { stdout } = await promisify(execFile)(process.execPath, [child, role, JSON.stringify(model)]);
      peaks.push(Number(stdout));
    }
    return Math.max(...peaks);
  };
  const length = quickstart.contextLength;
  const estimates: [role: string, model: ModelConfig, bytes: number][] = [
    ['reward', quickstart, scoringBytes(withScalarHead(quickstart), { length })],
    [
      'policy',
      llama,
      generationBytes(llama, { threads: 1, slots: 32, length: 128, versions: 1, frozen: false }),
    ],
  ];
  it.runIf(process.platform === 'linux').each(estimates)(
    'as a %s is estimated within a factor of two',
    async (role, model, bytes) => {
      const peak = await measured(role, model);
      expect(bytes / peak).toBeGreaterThan(0.5);
      expect(bytes / peak).toBeLessThan(2);
    },
  );

  it('frozen, is its weights once for all threads where it is large, and of an adapter its own tensors in each', () => {
    const load = { slots: 2, length: 16, versions: 2 };
    const bytes = (model: ModelConfig, threads: number, frozen: boolean) =>
      generationBytes(model, { ...load, threads, frozen });
    const added = (model: ModelConfig, frozen: boolean) => bytes(model, 2, frozen) - bytes(model, 1, frozen);
    const large = shapeOf(24, 1024);
    expect(added(large, false)).toBeGreaterThan(4 * weightBytes(large));
    expect(added(large, true)).toBeLessThan(weightBytes(large) / 4);
    const adapted = trainedModel(large, { head: 'language', peft: { r: 4 }, isPublished: true });
    expect(added(adapted, true) - added(large, true)).toBe(3 * (weightBytes(adapted) - weightBytes(large)));
  });

  it('to be trained is many times its weights, and more with each worker', () => {
    const load = { workers: 1, rows: 1, length: 2 };
    expect(trainingBytes([{ model: quickstart }], load)).toBeGreaterThan(15 * weightBytes(quickstart));
    expect(trainingBytes([{ model: quickstart }, { model: quickstart }], load)).toBeGreaterThan(
      30 * weightBytes(quickstart),
    );
    expect(trainingBytes([{ model: quickstart }], { ...load, workers: 3 })).toBeGreaterThan(
      23 * weightBytes(quickstart),
    );
  });

  it('to be trained by adapters is their base once, and little more for each of them', () => {
    const load = { workers: 1, rows: 1, length: 2 };
    const adapted = trainedModel(quickstart, { head: 'language', peft: { r: 4 }, isPublished: true });
    const value = trainedModel(quickstart, { head: 'scalar', peft: { r: 4 }, isPublished: false });
    const base = weightBytes(quickstart);
    const one = trainingBytes([{ model: adapted }], load);
    const two = trainingBytes([{ model: adapted }, { model: value }], load);
    const apart = trainingBytes([{ model: adapted }, { model: value, base: 'another' }], load);
    expect(one).toBeLessThan(trainingBytes([{ model: quickstart }], load) / 2);
    expect(one).toBeGreaterThan(base);
    expect(two - one).toBeLessThan(base);
    expect((apart - two) / base).toBeCloseTo(1, 1);
  });

  it('to be trained takes little more with a head on its trunk, whose layers are not counted one by one', () => {
    const load = { workers: 1, rows: 16, length: 64 };
    const head = (model: ModelConfig) => ({ model: withScalarHead(model), onTrunk: true });
    const alone = trainingBytes([{ model: quickstart }], load);
    const withHead = trainingBytes([{ model: quickstart }, head(quickstart)], load);
    expect(withHead).toBeGreaterThan(alone);
    expect(withHead).toBeLessThan(1.05 * alone);
    const deep = { ...quickstart, layers: 1e9 };
    expect(trainingBytes([{ model: deep }, head(deep)], load)).toBeGreaterThan(1e9);
  });
});

describe('requireMemory', () => {
  it('lets through what fits, and says by how much the rest does not', () => {
    requireMemory('the policy', 1e9, 1e9);
    expect(() => requireMemory('the policy', 39.1e9, 25.3e9)).toThrow(
      /the policy to fit into 25\.3 GB of memory, got one that needs about 39\.1 GB.*RLHF_MEMORY_LIMIT_BYTES/,
    );
    expect(() => requireMemory('the policy', 2, 1)).toThrow(
      expect.objectContaining({ code: 'MODEL_MEMORY' }),
    );
  });

  it('writes bytes with the unit that suits them', () => {
    expect([0, 999, 1000, 25_276_502_016, 3.2e30].map(bytesText)).toEqual([
      '0 B',
      '999 B',
      '1 kB',
      '25.3 GB',
      '3200000000000 EB',
    ]);
  });
});
