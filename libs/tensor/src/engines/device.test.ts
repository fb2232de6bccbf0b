import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { requireDevice } from './device.js';

it('the CPU is always there', async () => {
  await expect(requireDevice('cpu')).resolves.toBeUndefined();
});

it('a GPU computes what the CPU does, or its absence is an error that says what it takes', async () => {
  const child = fileURLToPath(new URL('./device.test.child.js', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [child]);
  const { missing, products } = JSON.parse(stdout);
  if (!missing)
    return expect(products).toEqual([
      [7, 10, 15, 22],
      [7, 10, 15, 22],
    ]);
  expect(products).toEqual(['failed', 'failed']);
  expect(missing).toEqual({
    code: 'TENSOR_DEVICE_UNAVAILABLE',
    message: expect.stringMatching(/^expected to compute on cuda, got: .*CUDA 12/),
  });
});
