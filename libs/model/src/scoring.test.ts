import { type Buffers, onnxEngine } from '@rlhf-streams/tensor';
import { expect, it } from 'vitest';
import { newModelConfig } from './architectures/index.js';
import { type ModelConfig, type ModelSize, withScalarHead } from './model-config.js';
import { logprobScorer, rewardScorer, type Scorer } from './scoring.js';
import { initialiseWeights } from './weights.js';

/** Weights as they are before training, with a head that says something. */
const weightsOf = (config: ModelConfig) => {
  const values: Buffers = Object.fromEntries(
    [...initialiseWeights(config, 3)].map(([name, { data }]) => [
      name,
      name === 'score.weight' ? data.map((_, i) => Math.sin(i)) : data,
    ]),
  );
  return { hash: JSON.stringify(config), values };
};

const items = Array.from({ length: 24 }, (_, i) => ({
  temperature: 1,
  tokens: Array.from({ length: 2 + ((i * 7) % 60) }, (_, t) => (t * 31 + i * 17) % 300),
}));

it('a reward is less the offset of the head', async () => {
  const config = withScalarHead(
    newModelConfig({
      architecture: 'gpt2',
      vocabSize: 300,
      contextLength: 64,
      width: 8,
      layers: 1,
      heads: 1,
    }),
  );
  const shifted: ModelConfig = { ...config, head: { kind: 'scalar', labels: 1, offset: 0.5 } };
  const few = items.slice(0, 3);
  const scores = await Promise.all(
    [config, shifted].map(async (each) => {
      const scorer = rewardScorer(onnxEngine(), each, weightsOf(each));
      const scored = await scorer.score(few);
      await scorer.dispose();
      return scored;
    }),
  );
  expect(scores[1]).toEqual(scores[0]!.map((score) => score - 0.5));
});

/** Widths of which some are no multiple of what vector instructions take at once. */
it.each<[string, Partial<ModelSize> & Pick<ModelSize, 'width' | 'heads'>]>([
  ['gpt2', { width: 128, heads: 4 }],
  ['gpt2', { width: 48, heads: 3 }],
  ['gpt2', { width: 20, heads: 2 }],
  ['gpt2', { width: 10, heads: 1 }],
  ['llama', { width: 96, heads: 6, kvHeads: 2 }],
  ['llama', { width: 20, heads: 2, kvHeads: 1, mlpWidth: 44 }],
  ['qwen3', { width: 30, heads: 3, mlpWidth: 50 }],
])('a sequence has the same bits however many are scored beside it (%s, %j)', async (architecture, size) => {
  const shape = { vocabSize: 300, contextLength: 64, layers: 2, ...size };
  const config = newModelConfig({ architecture, ...shape });
  const scalar = withScalarHead(config);
  const engine = onnxEngine();
  const scorers: Scorer<(typeof items)[number], Float32Array | number>[] = [
    logprobScorer(engine, config, weightsOf(config)),
    rewardScorer(engine, scalar, weightsOf(scalar)),
  ];
  for (const scorer of scorers) {
    const together = await scorer.score(items);
    for (const few of [1, 2, 3, 5]) {
      for (let from = 0; from < items.length; from += few)
        expect(await scorer.score(items.slice(from, from + few)), `${few} from ${from}`).toEqual(
          together.slice(from, from + few),
        );
    }
    await scorer.dispose();
  }
});

it('many tokens of a large vocabulary are scored a part at a time, as few are at once', async () => {
  const size = { vocabSize: 2 ** 16, contextLength: 64, width: 16, layers: 1, heads: 2 };
  const config = newModelConfig({ architecture: 'gpt2', ...size });
  const long = items.slice(0, 8).map(({ tokens }, i) => ({
    temperature: 0.5 + i / 8,
    tokens: Array.from({ length: 60 }, (_, t) => ((tokens[t % tokens.length]! + t) * 7919) % size.vocabSize),
  }));
  const scorer = logprobScorer(onnxEngine(), config, weightsOf(config));
  const together = await scorer.score(long);
  for (const [i, item] of long.entries()) expect((await scorer.score([item]))[0]).toEqual(together[i]);
  await scorer.dispose();
});
