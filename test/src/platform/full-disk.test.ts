/** A disk that is full pauses runs, and ends none. Needs to mount a small file system: root on Linux. */
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { followRun, type Platform, requestRun, startPlatform } from 'rlhf-streams';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { outcomeOf } from './outcome.js';
import { tinyPpo, tinySft, writeReviews } from './tiny-runs.js';

const DEADLINE = { timeout: 120_000, interval: 50 };

const mount = (...args: string[]) => execFileSync('mount', args, { stdio: 'ignore' });
let folder: string;
let disk: string;
let data: string;
const canMount = await (async () => {
  const probe = await mkdtemp(join(tmpdir(), 'mount-'));
  try {
    mount('-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', probe);
    execFileSync('umount', [probe]);
    return true;
  } catch {
    return false;
  } finally {
    await rm(probe, { recursive: true });
  }
})();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'full-disk-'));
  disk = join(folder, 'disk');
  await mkdir(disk);
  data = await writeReviews(folder);
  if (canMount) mount('-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', disk);
});
afterAll(async () => {
  if (canMount) execFileSync('umount', ['--lazy', disk]);
  await rm(folder, { recursive: true, force: true });
});

const filler = () => join(disk, 'filler');
/** Takes all the room there is, before anybody else in this process writes another byte. */
function fill(): void {
  const file = openSync(filler(), 'w');
  try {
    for (;;) writeSync(file, Buffer.alloc(1 << 12));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    closeSync(file);
  }
}

const open = (directory: string): Promise<Platform> => startPlatform({ directory, logLevel: 'silent' });
const statusesOf = async ({ events }: Platform, run: string) => {
  const types: string[] = [];
  for await (const { type, data } of events.readAll(['runs'])) if (data.run === run) types.push(type);
  return types;
};

describe.runIf(canMount)('while the disk is full', () => {
  it('a command says so, and where', async () => {
    const file = join(folder, 'sft.yaml');
    await writeFile(file, JSON.stringify(tinySft(data)));
    const bin = fileURLToPath(new URL('../bin/rlhf-streams.js', import.meta.resolve('rlhf-streams')));
    fill();
    try {
      const directory = join(disk, 'command');
      const args = [bin, 'run', file, '--directory', directory];
      const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
      expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringContaining(directory) });
      expect(stderr).toMatch(/make room .*LOG_WRITE_FAILED/);
    } finally {
      await rm(filler());
    }
  });

  it.each([
    ['sft', (run: string) => ({ ...tinySft(data), run, steps: 40, checkpointEvery: 1 })],
    ['ppo', (run: string) => ({ ...tinyPpo(data), run, steps: 6, checkpointEvery: 1 })],
  ])(
    'a run of %s waits, says for what, and ends in the weights it would have had',
    async (method, configOf) => {
      const config = configOf(method);
      const reference = await open(join(folder, `${method}-undisturbed`));
      await requestRun(reference, config);
      await followRun(reference, config.run, {});
      const expected = await outcomeOf(reference);
      await reference.close();

      const platform = await open(join(disk, method));
      try {
        await requestRun(platform, config);
        const paused: string[] = [];
        const following = followRun(platform, config.run, {
          step: ({ step }) => {
            if (step === 2) fill();
          },
          paused: (cause) => void paused.push(cause),
        });
        await vi.waitFor(
          async () => expect((await platform.troubles()).join()).toMatch(/ENOSPC|disk/),
          DEADLINE,
        );
        await vi.waitFor(() => expect(paused.join()).toMatch(/ENOSPC|disk/), DEADLINE);
        await rm(filler());
        await following;
        expect(await platform.troubles()).toEqual([]);
        const outcome = await outcomeOf(platform);
        expect(outcome).toEqual(expected);
        expect(await statusesOf(platform, config.run)).not.toContain('run.failed');
      } finally {
        await platform.close();
        await rm(filler(), { force: true });
      }
    },
  );

  it('a run that was stopped meanwhile goes on from its checkpoint once there is room', async () => {
    const config = { ...tinySft(data), run: 'stopped', steps: 40, checkpointEvery: 1 };
    const directory = join(disk, 'stopped');
    const first = await open(directory);
    await requestRun(first, config);
    const stop = new AbortController();
    const following = followRun(
      first,
      config.run,
      { step: ({ step }) => void (step === 2 && fill()), paused: () => stop.abort(new Error('seen')) },
      stop.signal,
    );
    await expect(following).rejects.toThrow('seen');
    await first.close();
    await rm(filler(), { force: true });

    const second = await open(directory);
    try {
      const { steps } = await followRun(second, config.run, {});
      expect(steps).toBe(40);
      expect((await statusesOf(second, config.run)).filter((type) => type === 'run.started')).toHaveLength(1);
    } finally {
      await second.close();
    }
  });
});
