/**
 * The process in which LoRA is measured: a run under training on two workers, or by the tensorflow engine in the precision
 * that is its argument, and nothing else.
 */
import { describeModel } from '@rlhf-streams/model';
import { type Item, parseRunConfig } from '@rlhf-streams/runs';
import { onnxPool, tensorflowEngine } from '@rlhf-streams/tensor';
import { openSession } from '@rlhf-streams/training';
import { answerRequests } from '../against/channel.js';
import type { LoraStep } from '../against/workload.js';
import { someTokens } from '../models.js';
import { timed } from '../timing.js';

const [precision] = process.argv.slice(2) as ['float32' | 'bf16' | undefined];

await answerRequests(async (workload) => {
  if (workload.kind !== 'lora') throw new Error(`expected lora, got ${workload.kind}`);
  const { model, rank, threads, gradientCheckpointing, learningRate } = workload;
  const engine = precision === undefined ? onnxPool({ workers: threads }) : tensorflowEngine({ precision });
  const config = parseRunConfig({
    run: 'bench',
    method: 'dpo',
    model,
    data: 'pairs.jsonl',
    steps: 1000,
    microBatchSize: 2,
    gradientCheckpointing,
    peft: { r: rank, alpha: 2 * rank, targetModules: 'all-linear' },
    optimizer: { learningRate },
  });
  const { session } = await openSession({
    config,
    models: { policy: { base: model } },
    engine,
    workers: threads,
  });
  const items = await itemsOf(workload);
  return {
    run: () => timed(() => session.update(items)),
    async close() {
      await session.close();
      await engine.close();
    },
  };
});

async function itemsOf({ model, pairs, promptTokens, newTokens }: LoraStep): Promise<Item[]> {
  const { config } = await describeModel({ base: model });
  const length = promptTokens + newTokens;
  const tokens = [...someTokens(2 * pairs * length, config)];
  return Array.from({ length: pairs }, (_, pair) => {
    const rows = [2 * pair, 2 * pair + 1].map((row) => tokens.slice(row * length, (row + 1) * length));
    const id = `pair ${pair}`;
    return {
      id,
      comparison: {
        run: 'bench',
        step: 0,
        comparison: id,
        split: 'train',
        promptText: '',
        promptTokens: rows[0]!.slice(0, promptTokens),
        completions: rows.map((row) => ({ text: '', tokens: row.slice(promptTokens) })),
        ranks: [1, 2],
        labeler: 'bench',
      },
      reference: {
        run: 'bench',
        step: 0,
        subject: id,
        reference: { model: { base: { uri: model, sha256: '0'.repeat(64) } } },
        logprobs: rows.map(() => Array(newTokens).fill(-5)),
      },
    } as unknown as Item;
  });
}
