import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import {
  initialiseWeights,
  newModelConfig,
  trainedModel,
  trainingBytes,
  withScalarHead,
  writeCheckpoint,
} from '@rlhf-streams/model';
import { parseRunConfig } from '@rlhf-streams/runs';
import { onnxEngine } from '@rlhf-streams/tensor';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openSession } from '../session.js';

const shape = (layers: number, width: number, vocabSize: number) =>
  newModelConfig({ architecture: 'gpt2', vocabSize, contextLength: 64, width, layers, heads: 4 });
const models = {
  quickstart: shape(4, 128, 1024),
  wide: shape(4, 320, 2048),
  broad: shape(4, 512, 2048),
  llama: newModelConfig({
    ...{ architecture: 'llama', vocabSize: 1024, contextLength: 64 },
    ...{ layers: 4, width: 128, heads: 4, kvHeads: 2 },
  }),
  tiny: shape(1, 8, 300),
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'memory-'));
  for (const [name, config] of Object.entries(models))
    await writeCheckpoint(join(folder, name), { config, tensors: initialiseWeights(config, 1) });
});
afterAll(() => rm(folder, { recursive: true }));

it.runIf(process.platform === 'linux').each([
  ['wide', 2, 1, 'sft'],
  ['llama', 16, 2, 'sft'],
  ['quickstart', 16, 1, 'trpo'],
  ['broad', 2, 2, 'an adapter'],
] as const)(
  'what training %s with %d rows takes on %d workers by %s is estimated within a factor of two',
  async (name, rows, workers, method) => {
    const child = fileURLToPath(new URL('./memory.test.child.js', import.meta.url));
    const args = [join(folder, name), join(folder, 'tiny'), '64', String(rows), String(workers), method];
    const { stdout } = await promisify(execFile)(process.execPath, [child, ...args]);
    const model = models[name];
    const adapted = trainedModel(model, { head: 'language', peft: {}, isPublished: true });
    const trained = {
      sft: [{ model }],
      trpo: [{ model, byLineSearch: true }, { model: withScalarHead(model) }],
      'an adapter': [{ model: adapted }],
    }[method];
    const estimate = trainingBytes(trained, { workers, rows, length: 64 });
    expect(estimate / Number(stdout)).toBeGreaterThan(0.5);
    expect(estimate / Number(stdout)).toBeLessThan(2);
  },
);

it('a run is not opened where there is no memory to train it', async () => {
  const config = parseRunConfig({ run: 'r', method: 'sft', model: 'm', data: 'd', steps: 1 });
  const build = { version: '1.2.3', onnxruntime: '1.0.0', platform: 'linux-x64' };
  const options = {
    config,
    models: { policy: { base: join(folder, 'quickstart') } },
    engine: onnxEngine(),
    workers: 1,
    build,
  };
  await expect(openSession({ ...options, memoryBytes: 30e6 })).rejects.toMatchObject({
    code: 'MODEL_MEMORY',
    message: expect.stringMatching(
      /the models trained to fit into 30 MB of memory, got one that needs about \d+/,
    ),
  });
});
