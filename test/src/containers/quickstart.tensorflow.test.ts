import '@rlhf-streams/kafka-broker/vitest';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it, onTestFailed } from 'vitest';
import { createStack, type Stack } from './stack.js';

const BUILD_TIMEOUT_MS = 1_200_000;
const TEST_TIMEOUT_MS = 900_000;
const computing = ['policy', 'reward', 'reference', 'optimizer'] as const;

describe.skipIf(!inject('docker'))('the containers with the tensorflow engine', () => {
  let folder: string;
  let stack: Stack;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'containers-'));
    await chmod(folder, 0o755);
    stack = createStack(folder, { RLHF_ENGINE: 'tensorflow' });
    await stack.compose('--profile', 'tools', 'build');
  }, BUILD_TIMEOUT_MS);
  afterAll(async () => {
    await stack?.remove();
    await rm(folder, { recursive: true, force: true });
  }, TEST_TIMEOUT_MS);

  it.each(computing)(
    '%s computes by it, and ends at its start where it must have a GPU and finds none',
    async (service) => {
      const onGpu = ['--rm', '--no-deps', '-T', '--env', 'RLHF_DEVICE=cuda', service];
      await expect(stack.compose('run', ...onGpu)).rejects.toThrow('TENSOR_DEVICE_UNAVAILABLE');
    },
  );

  it(
    'train a quickstart whose PPO and DPO beat SFT',
    async () => {
      onTestFailed(async () => {
        process.stderr.write(await stack.compose('logs', '--no-color', '--tail', '30', ...computing));
      });
      await stack.compose('up', '--wait');
      // It fails where one of them does not clearly beat SFT.
      const output = await stack.compose('run', '--rm', '-T', 'cli', 'quickstart', '--attach');
      for (const row of ['policy +gold reward', 'SFT ', 'PPO ', 'DPO ', 'Checkpoints'])
        expect(output).toMatch(new RegExp(`^${row}`, 'm'));
    },
    TEST_TIMEOUT_MS,
  );
});
