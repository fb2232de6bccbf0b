import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

it('workers end between their computations, not within: ONNX Runtime does not survive that', async () => {
  const child = fileURLToPath(new URL('./closing.test.child.js', import.meta.url));
  expect(await promisify(execFile)(process.execPath, [child])).toEqual({ stdout: '', stderr: '' });
});
