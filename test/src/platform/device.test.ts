import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requireDevice } from '@rlhf-streams/tensor';
import { startPlatform } from 'rlhf-streams';
import { afterEach, beforeEach, expect, it } from 'vitest';

const hasGpu = await requireDevice('cuda').then(
  () => true,
  () => false,
);

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'device-'));
});
afterEach(() => rm(directory, { recursive: true }));

it.skipIf(hasGpu).each(['policy', 'reward', 'reference', 'optimizer'] as const)(
  'the %s service does not become ready on a device that is not there',
  async (service) => {
    const others = { policy: 0, reward: 0, reference: 0, optimizer: 0, coordinator: 0, gateway: 0 };
    const started = startPlatform({
      directory,
      environment: { RLHF_DEVICE: 'cuda' },
      replicas: { ...others, [service]: 1 },
      logLevel: 'silent',
    });
    await expect(started).rejects.toMatchObject({
      code: 'THREAD_EXITED',
      message: expect.stringContaining('expected to compute on cuda'),
    });
  },
);
