import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPlatform } from 'rlhf-streams';
import { afterEach, beforeEach, expect, it } from 'vitest';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'device-'));
});
afterEach(() => rm(directory, { recursive: true }));

const others = { policy: 0, reward: 0, reference: 0, optimizer: 0, coordinator: 0, gateway: 0 };
const starting = (service: keyof typeof others, environment: Record<string, string>) =>
  startPlatform({
    directory,
    environment: { RLHF_POLICY_THREADS: '1', ...environment },
    replicas: { ...others, [service]: 1 },
    logLevel: 'silent',
  });
const services = ['policy', 'reward', 'reference', 'optimizer'] as const;

it.each([
  ['RLHF_DEVICE', 'cuda'],
  ['RLHF_PRECISION', 'bf16'],
  ['RLHF_XLA', 'true'],
] as const)('the onnx engine is not given what the tensorflow engine takes: %s=%s', async (name, value) => {
  for (const service of services)
    await expect(starting(service, { RLHF_ENGINE: 'onnx', [name]: value })).rejects.toMatchObject({
      code: 'RUNTIME_SETTINGS',
      message: expect.stringContaining(`${name}=${value}`),
    });
});
