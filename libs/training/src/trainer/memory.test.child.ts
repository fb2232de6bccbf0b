/** A process that trains a model as the optimizer does, and prints how many bytes that took at its peak. */
import { readFileSync, writeFileSync } from 'node:fs';
import { type Item, parseRunConfig } from '@rlhf-streams/runs';
import { onnxPool } from '@rlhf-streams/tensor';
import { openSession } from '../session.js';

const [directory, tiny, length, rows, workers, method] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
  string,
];

const samples = method === 'trpo';

const bytesOf = (field: string): number =>
  1024 * Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8'))![1]);

async function train(model: string, size: number, tokens: number, workers: number): Promise<void> {
  const engine = onnxPool({ workers });
  const config = parseRunConfig({
    run: 'r',
    method: samples ? 'trpo' : 'sft',
    model: 'm',
    ...(samples ? { prompts: 'd', scorers: ['run:reward'], trpo: { cgIterations: 2 } } : { data: 'd' }),
    ...(method === 'an adapter' && { peft: {} }),
    steps: 2,
    batchSize: size * workers,
    microBatchSize: size,
  });
  const build = { version: '1.2.3', onnxruntime: '1.0.0', platform: 'linux-x64' };
  const { session } = await openSession({
    config,
    models: { policy: { base: model } },
    engine,
    workers,
    build,
  });
  const sequence = { promptTokens: [0], tokens: Array.from({ length: tokens - 1 }, (_, i) => i % 250) };
  const logprobs = sequence.tokens.map(() => -5);
  const items = Array.from({ length: config.batchSize }, (_, i) => {
    const id = `r/0/${i}`;
    const rollout = { ...sequence, logprobs, finishReason: 'stop', step: 0, policyVersion: 0 };
    const rewarded = { rollout, reward: { score: i % 3, parts: {} }, reference: { logprobs: [logprobs] } };
    return { id, ...(samples ? rewarded : { demonstration: sequence }) } as unknown as Item;
  });
  // A step of TRPO makes several passes over its batch: the memory of one pass is that of all.
  for (let step = 0; step < (samples ? 1 : 2); step++) await session.update(items);
  await session.close();
  await engine.close?.();
}

// What the libraries need, whatever the model.
await train(tiny, 1, 4, 1);
const before = bytesOf('VmRSS');
writeFileSync('/proc/self/clear_refs', '5');
await train(directory, Number(rows), Number(length), Number(workers));
process.stdout.write(String(bytesOf('VmHWM') - before));
