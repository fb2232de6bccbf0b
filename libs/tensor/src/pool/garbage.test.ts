import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

it('the memory of workspaces that are gone is given back, in every thread', async () => {
  const child = fileURLToPath(new URL('./garbage.test.child.js', import.meta.url));
  // A process that keeps it waits without end.
  const ended = promisify(execFile)(process.execPath, [child], { timeout: 60_000 });
  expect(await ended).toEqual({ stdout: '', stderr: '' });
});
