import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';

const child = fileURLToPath(new URL('./no-telemetry.test.child.js', import.meta.url));

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'no-telemetry-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** What ONNX Runtime leaves behind of its telemetry: a log, a session and the id of the machine. */
async function leftBy(place: 'thread' | 'pool', settings: Record<string, string> = {}): Promise<string[]> {
  // Nothing else: where a CI seems to be at work there would be none either.
  const { PATH } = process.env;
  const { stdout } = await promisify(execFile)(process.execPath, [child, place], {
    env: { PATH, TMPDIR: folder, HOME: folder, XDG_CACHE_HOME: folder, ...settings },
  });
  expect(stdout).toBe('9');
  return readdir(folder);
}

it.each(['thread', 'pool'] as const)('computing in a %s tells nobody of it', async (place) => {
  expect(await leftBy(place)).toEqual([]);
});

it.runIf(process.platform === 'linux')('it would, if asked to', async () => {
  expect(await leftBy('pool', { ORT_DISABLE_TELEMETRY: '0' })).not.toEqual([]);
});
