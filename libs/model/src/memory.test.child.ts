/** A process that computes with a model as a service does, and prints how many bytes that took at its peak. */
import { readFileSync, writeFileSync } from 'node:fs';
import { onnxEngine } from '@rlhf-streams/tensor';
import { newModelConfig } from './architectures/index.js';
import { createGenerator } from './generation/generator.js';
import type { ModelConfig } from './model-config.js';
import { withScalarHead } from './model-config.js';
import { keyFor } from './sampling/rollout-draws.js';
import { logprobScorer, rewardScorer } from './scoring.js';
import { initialiseWeights } from './weights.js';

const [role, json] = process.argv.slice(2) as [string, string];
const config = JSON.parse(json) as ModelConfig;
const SLOTS = 32;

const bytesOf = (field: string): number =>
  1024 * Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8'))![1]);
const weightsOf = (of: ModelConfig) =>
  Object.fromEntries([...initialiseWeights(of, 1)].map(([name, { data }]) => [name, data]));
const sequence = Array.from({ length: config.contextLength }, (_, i) => i % 250);

async function compute(of: ModelConfig, length: number): Promise<void> {
  const items = Array.from({ length: 16 }, () => ({ tokens: sequence.slice(0, length), temperature: 1 }));
  const frozen = (config: ModelConfig) => ({ hash: 'weights', values: weightsOf(config) });
  if (role === 'reward') {
    const scalar = withScalarHead(of);
    await rewardScorer(onnxEngine(), scalar, frozen(scalar)).score(items);
  } else if (role === 'reference') {
    await logprobScorer(onnxEngine(), of, frozen(of)).score(items);
  } else {
    const generator = createGenerator(onnxEngine(), of, { slots: SLOTS });
    const weights = { version: '0', parameters: weightsOf(of) };
    const completions = Array.from({ length: SLOTS }, (_, i) =>
      generator.generate({
        weights,
        promptTokens: [0, 1 + i],
        sampling: { temperature: 1, topK: 0, topP: 1 },
        maxNewTokens: length - 2,
        stopTokens: [],
        key: keyFor(1, `rollout ${i}`),
      }),
    );
    await Promise.all(completions);
  }
}

// What the libraries need, whatever the model.
const least = { width: 8, heads: 1, layers: 1, vocabSize: 300, contextLength: 16 };
await compute(newModelConfig({ architecture: config.architecture, ...least }), 8);
const before = bytesOf('VmRSS');
writeFileSync('/proc/self/clear_refs', '5');
await compute(config, config.contextLength);
process.stdout.write(String(bytesOf('VmHWM') - before));
