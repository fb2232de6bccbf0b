import { readFileSync } from 'node:fs';
import { parseModelConfig, withScalarHead } from '@rlhf-streams/model';
import { cpuEngine, onnxPool } from '@rlhf-streams/tensor';
import { expect, it } from 'vitest';
import { begin, distance, initialParameters, runOf } from '../tiny.test.support.js';
import { layoutOf } from '../trainer/layout.js';
import { type Sequence, sequenceBatches, tokenCount } from './rows.js';

/** A second derivative in float64 by PyTorch: see fixtures/README.md. */
const fixture = JSON.parse(
  readFileSync(new URL('../../fixtures/fisher_llama.json', import.meta.url), 'utf8'),
) as {
  config: object;
  temperature: number;
  sequences: Sequence[];
  tensors: Record<string, { theta: number[]; v: number[]; Fv: number[] }>;
};

it.each([
  ['the oracle', cpuEngine],
  ['a pool', () => onnxPool({ workers: 1 })],
])('F v of a Qwen3 on %s is that of PyTorch in float64', async (_, createEngine) => {
  const { sequences, temperature, tensors } = fixture;
  const model = parseModelConfig(fixture.config);
  const layout = layoutOf({ policy: model, value: withScalarHead(model) });
  const names = layout.namesOf('policy');
  const ordered = (of: 'v' | 'Fv') =>
    Float32Array.from([...names.keys()].flatMap((name) => tensors[name]![of]));
  const policy = [...names].map(
    ([name, trained]) => [trained, Float32Array.from(tensors[name]!.theta)] as const,
  );
  const engine = createEngine();
  const config = runOf('trpo', { sampling: { temperature }, microBatchSize: 2 });
  const from = { ...initialParameters(layout), ...Object.fromEntries(policy) };
  const { trainer } = await begin(config, engine, { layout, from });

  const { batches } = sequenceBatches(sequences, { microBatchSize: 2, contextLength: model.contextLength });
  const Fv = await trainer.lineSearch.fisher('fisher', batches, tokenCount(sequences), ordered('v'));
  expect(distance(ordered('Fv'), Fv)).toBeLessThan(1e-5);
  await trainer.close();
  await engine.close();
});
