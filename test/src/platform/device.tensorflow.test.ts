import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requireTensorflow } from '@rlhf-streams/tensor';
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

it('no service that computes becomes ready on a device that is not there', async (context) => {
  const missing = await requireTensorflow('cuda').then(
    () => undefined,
    (error: Error) => error.message,
  );
  context.skip(missing === undefined, 'there is a GPU');
  for (const service of services)
    await expect(starting(service, { RLHF_DEVICE: 'cuda' })).rejects.toMatchObject({
      code: 'THREAD_EXITED',
      message: expect.stringContaining(missing!),
    });
});
