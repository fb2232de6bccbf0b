import { sizeOf } from '@rlhf-streams/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { architectureOf, newModelConfig, parseModelConfig } from './architectures/index.js';
import type { Head } from './model-config.js';
import { initialiseWeights, parameterCount } from './weights.js';

describe('parameterCount', () => {
  it('is the sum of the sizes of all tensors, whatever the model', () => {
    const size = (max: number) => fc.integer({ min: 1, max });
    const model = fc.record({
      layers: size(4),
      width: size(64),
      inner: size(64),
      vocabSize: size(500),
      contextLength: size(64),
      tied: fc.boolean(),
      head: fc.oneof(
        fc.constant<Head>({ kind: 'language' }),
        size(3).map((labels): Head => ({ kind: 'scalar', labels })),
      ),
    });
    fc.assert(
      fc.property(model, ({ layers, width, inner, vocabSize, contextLength, tied, head }) => {
        const config = {
          ...parseModelConfig({
            model_type: 'gpt2',
            n_layer: layers,
            n_embd: width,
            n_head: 1,
            n_inner: inner,
            vocab_size: vocabSize,
            n_positions: contextLength,
            tie_word_embeddings: tied,
          }),
          head,
        };
        const tensors = architectureOf(config).tensors(config);
        const sizes = [...tensors.values()].map(({ shape }) => sizeOf(shape));
        expect(parameterCount(config)).toBe(sizes.reduce((a, b) => a + b, 0));
      }),
    );
  });

  it('is what GPT-2 is known for', () => {
    expect(parameterCount(parseModelConfig({ model_type: 'gpt2' }))).toBe(124_439_808);
  });
});

describe('initialiseWeights', () => {
  const config = newModelConfig({
    architecture: 'gpt2',
    layers: 2,
    width: 64,
    heads: 2,
    vocabSize: 300,
    contextLength: 16,
  });

  it('starts every tensor as its architecture says', () => {
    const weights = initialiseWeights(config, 1);
    for (const [name, { shape, initial }] of architectureOf(config).tensors(config)) {
      const { data, shape: made } = weights.get(name)!;
      expect([made, data.length]).toEqual([shape, sizeOf(shape)]);
      if ('constant' in initial) expect(new Set(data)).toEqual(new Set([initial.constant]));
      else if ('deviation' in initial) {
        const squares = data.reduce((sum, x) => sum + x * x, 0);
        expect(Math.sqrt(squares / data.length) / initial.deviation, name).toBeCloseTo(1, 0);
        expect(Math.abs(data.reduce((sum, x) => sum + x, 0)) / data.length).toBeLessThan(
          initial.deviation / 5,
        );
      }
    }
  });

  it('is a function of the seed, and other tensors are drawn by themselves', () => {
    expect(initialiseWeights(config, 1)).toEqual(initialiseWeights(config, 1));
    expect(initialiseWeights(config, 2).get('wte.weight')).not.toEqual(
      initialiseWeights(config, 1).get('wte.weight'),
    );
    const deeper = initialiseWeights({ ...config, layers: 3 }, 1);
    expect(deeper.get('wte.weight')).toEqual(initialiseWeights(config, 1).get('wte.weight'));
  });
});
