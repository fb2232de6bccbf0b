import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';

const child = fileURLToPath(new URL('./device.child.js', import.meta.url));

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'device-'));
});
afterEach(() => rm(directory, { recursive: true }));

it('no service that computes becomes ready on a device that is not there', async (context) => {
  const { stdout } = await promisify(execFile)(process.execPath, [child, directory]);
  const { hasGpu, failures } = JSON.parse(stdout) as { hasGpu: boolean; failures: object };
  context.skip(hasGpu, 'there is a GPU');
  const refused = { code: 'THREAD_EXITED', message: expect.stringContaining('expected to compute on cuda') };
  expect(failures).toEqual({ policy: refused, reward: refused, reference: refused, optimizer: refused });
});
