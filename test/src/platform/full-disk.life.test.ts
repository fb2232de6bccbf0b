/** A disk that is full pauses runs, and ends none. Needs to mount a small file system: root on Linux. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { RunConfigInput } from '@rlhf-streams/runs';
import { followRun, type Platform, requestRun, startPlatform } from 'rlhf-streams';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commandProcess } from './command.js';
import type { Seen } from './full-disk.child.js';
import { type Outcome, outcomeIn, outcomeOf } from './outcome.js';
import { oneThread, tinyPpo, tinySft, writeReviews } from './tiny-runs.js';

const child = fileURLToPath(new URL('./full-disk.child.js', import.meta.url));

let folder: string;
let data: string;
const mounted: string[] = [];
/** A disk of its own for each test, with little room. */
async function mountDisk(name: string, size: string): Promise<string> {
  const disk = join(folder, name);
  await mkdir(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', disk], { stdio: 'ignore' });
  mounted.push(disk);
  return disk;
}
const canMount = await (async () => {
  folder = await mkdtemp(join(tmpdir(), 'full-disk-'));
  try {
    await mountDisk('probe', '1m');
    return true;
  } catch {
    await rm(folder, { recursive: true });
    return false;
  }
})();
afterAll(async () => {
  for (const disk of mounted) execFileSync('umount', ['--lazy', disk]);
  await rm(folder, { recursive: true, force: true });
});

const open = (directory: string): Promise<Platform> =>
  startPlatform({ directory, logLevel: 'silent', environment: oneThread });

describe.runIf(canMount)('while the disk is full', () => {
  let ppo: RunConfigInput;
  let sft: RunConfigInput;
  /** What the runs come to on a disk with room. */
  let undisturbed: Outcome;
  beforeAll(async () => {
    data = await writeReviews(folder);
    ppo = { ...tinyPpo(data), checkpointEvery: 1 };
    sft = { ...tinySft(data), steps: 40, checkpointEvery: 1 };
    const platform = await open(join(folder, 'undisturbed'));
    for (const config of [ppo, sft]) {
      await requestRun(platform, config);
      await followRun(platform, config.run, {});
    }
    undisturbed = await outcomeOf(platform);
    await platform.close();
  });
  const expectedOf = (run: string): Outcome => ({
    weights: { [run]: undisturbed.weights[run]! },
    steps: undisturbed.steps.filter((step) => step.run === run),
    deadLetters: [],
  });

  /** Does a run on a disk that is full when step 2 is done, in a process. */
  async function whileFull(disk: string, config: RunConfigInput, then: 'go-on' | 'stop'): Promise<Seen> {
    const args = [child, join(disk, 'log'), join(disk, 'filler'), JSON.stringify(config), then];
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 150_000 });
    await rm(join(disk, 'filler'), { force: true });
    const seen = JSON.parse(stdout) as Seen;
    expect(seen.troubles.join()).toMatch(/ENOSPC|disk/);
    expect(seen.paused.join()).toMatch(/ENOSPC|disk/);
    return seen;
  }

  // What they wait for is time more than the processor.
  it.concurrent('a command says so, and where', async () => {
    const file = join(folder, 'sft.yaml');
    await writeFile(file, JSON.stringify(sft));
    const disk = await mountDisk('command', '64k');
    await writeFile(join(disk, 'filler'), Buffer.alloc(64 << 10)).catch(() => {});
    const directory = join(disk, 'here');
    const { code, stderr } = await commandProcess(folder, ['run', file, '--directory', directory]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(directory) });
    expect(stderr).toMatch(/make room .*LOG_WRITE_FAILED/);
  });

  it.concurrent('a run waits, says for what, and ends in the weights it would have had', async () => {
    const disk = await mountDisk('ppo', '64m');
    const { end } = await whileFull(disk, ppo, 'go-on');
    expect(end?.troubles).toEqual([]);
    expect(end?.statuses).not.toContain('run.failed');
    expect(await outcomeIn(join(disk, 'log'))).toEqual(expectedOf(ppo.run));
  });

  it.concurrent('a run that was stopped meanwhile goes on from its checkpoint once there is room', async () => {
    const disk = await mountDisk('sft', '64m');
    await whileFull(disk, sft, 'stop');
    const platform = await open(join(disk, 'log'));
    try {
      const { steps } = await followRun(platform, sft.run, {});
      expect(steps).toBe(40);
      const statuses: string[] = [];
      for await (const { type } of platform.events.readAll(['runs'])) statuses.push(type);
      expect(statuses.filter((type) => type === 'run.started')).toHaveLength(1);
      expect(await outcomeOf(platform)).toEqual(expectedOf(sft.run));
    } finally {
      await platform.close();
    }
  });
});
