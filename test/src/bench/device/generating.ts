/** Prefill and decode, by the generator that services have. */
import { createGenerator, keyFor } from '@rlhf-streams/model';
import type { Engine } from '@rlhf-streams/tensor';
import { someTokens } from '../models.js';
import type { Case } from './cases.js';
import { modelOf, randomTensors } from './models.js';
import type { Step } from './training.js';

export async function openGeneration(engine: Engine, one: Case): Promise<Step> {
  const { kind, rows, length, newTokens } = one;
  const config = modelOf(one);
  const weights = { version: 'random', parameters: randomTensors(config) };
  const tokens = someTokens(rows * length, config);
  const generator = createGenerator(engine, config, { slots: rows });
  let draws = 0;
  /** The time, in milliseconds, in which every prompt gets this many new tokens. */
  const complete = async (maxNewTokens: number): Promise<number> => {
    const begun = performance.now();
    await Promise.all(
      Array.from({ length: rows }, (_, row) =>
        generator.generate({
          weights,
          promptTokens: [...tokens.subarray(row * length, (row + 1) * length)],
          sampling: { temperature: 1 },
          maxNewTokens,
          stopTokens: [],
          key: keyFor(draws++, `rollout ${row}`),
        }),
      ),
    );
    return performance.now() - begun;
  };
  return {
    async run() {
      const first = await complete(1);
      // The first token comes with the prefill.
      return { ms: kind === 'prefill' ? first : (await complete(newTokens)) - first };
    },
    async close() {
      generator.close();
    },
  };
}
