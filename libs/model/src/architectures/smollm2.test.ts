import { readFile } from 'node:fs/promises';
import { onnxEngine } from '@rlhf-streams/tensor';
import { describe, expect, it } from 'vitest';
import { readCheckpoint } from '../checkpoint/directory.js';
import { createGenerator } from '../generation/generator.js';
import { keyFor } from '../sampling/rollout-draws.js';
import { logprobScorer } from '../scoring.js';

/** SmolLM2-135M-Instruct in the Hugging Face layout, for those who have it. */
const folder = process.env.RLHF_TEST_SMOLLM2;

interface Case {
  readonly ids: number[];
  readonly greedy_ids: number[];
  readonly last_logits_top5: { readonly ids: number[]; readonly values: number[] };
  readonly logprobs_of_prompt_and_greedy: number[];
}

describe.skipIf(!folder)('SmolLM2-135M-Instruct of RLHF_TEST_SMOLLM2', { timeout: 120_000 }, () => {
  const loaded = async () => {
    const path = new URL('../../fixtures/models/smollm2-135m.expected.json', import.meta.url);
    const { cases } = JSON.parse(await readFile(path, 'utf8')) as { cases: Case[] };
    const { config, tensors } = await readCheckpoint(folder!);
    const parameters = Object.fromEntries([...tensors].map(([name, { data }]) => [name, data]));
    // Programs for the lengths of the texts alone.
    return { cases, config: { ...config, contextLength: 96 }, parameters };
  };

  it('has the log-probs and the greedy tokens of transformers', async () => {
    const { cases, config, parameters } = await loaded();
    const weights = { version: 'smollm2', parameters };
    const scorer = logprobScorer(onnxEngine(), config, { hash: 'smollm2', values: parameters });
    const texts = cases.map(({ ids, greedy_ids }) => ({ tokens: [...ids, ...greedy_ids], temperature: 1 }));
    const scored = await scorer.score(texts);
    const generator = createGenerator(onnxEngine(), config, { slots: cases.length });
    const near = (came: ArrayLike<number>, expected: readonly number[], tolerance: number) => {
      expect(came.length).toBe(expected.length);
      for (const [i, value] of expected.entries())
        expect(Math.abs(came[i]! - value), `[${i}]`).toBeLessThan(tolerance);
    };
    await Promise.all(
      cases.map(async ({ ids, greedy_ids, last_logits_top5, logprobs_of_prompt_and_greedy }, i) => {
        near(scored[i]!, logprobs_of_prompt_and_greedy, 1e-4);
        let first: number[] | undefined;
        const { tokens } = await generator.generate({
          weights,
          promptTokens: ids,
          sampling: { temperature: 0 },
          maxNewTokens: greedy_ids.length,
          stopTokens: config.eosTokenIds!.slice(),
          key: keyFor(0, `${i}`),
          logits: true,
          onToken: (_, logits) => {
            first ??= last_logits_top5.ids.map((id) => logits![id]!);
            return false;
          },
        });
        expect(tokens).toEqual(greedy_ids);
        near(first!, last_logits_top5.values, 2e-4);
      }),
    );
    await scorer.dispose();
    generator.close();
  });
});
