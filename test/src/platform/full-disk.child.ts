/**
 * Run as a process by the test of full disks, because LMDB writes to its standard error: does a run in a folder, takes
 * all the room of the disk when step 2 is done, and once everybody says so either makes room and sees the run to its
 * end (`go-on`) or stops (`stop`). Writes what was seen as JSON.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import type { RunConfigInput } from '@rlhf-streams/runs';
import { followRun, type Platform, requestRun, startPlatform } from 'rlhf-streams';
import { oneThread } from './tiny-runs.js';

export interface Seen {
  /** What the services said while the disk was full. */
  readonly troubles: readonly string[];
  /** What was told to who follows the run. */
  readonly paused: readonly string[];
  /** What the services said at the end of the run, and the types of the events that tell of its status. */
  readonly end?: { readonly troubles: readonly string[]; readonly statuses: readonly string[] };
}

const [directory, filler, json, then] = process.argv.slice(2) as [string, string, string, 'go-on' | 'stop'];
const config = JSON.parse(json) as RunConfigInput;
const platform = await startPlatform({ directory, logLevel: 'silent', environment: oneThread });
try {
  process.stdout.write(JSON.stringify(await live(platform)));
} finally {
  await platform.close();
}

async function live(platform: Platform): Promise<Seen> {
  await requestRun(platform, config);
  const paused: string[] = [];
  const stop = new AbortController();
  const following = followRun(
    platform,
    config.run,
    {
      step: ({ step }) => void (step === 2 && fill()),
      paused: (cause) => void paused.push(cause),
    },
    stop.signal,
  );
  // A run that ends before anybody says that it waits has ended the test too.
  const over = following.then(() => {
    throw new Error(`expected the run to wait, got its end; paused: ${paused.join()}`);
  });
  const troubles = await Promise.race([over, told(paused)]);
  if (then === 'stop') {
    stop.abort(new Error('seen'));
    await over.catch((error) => {
      if (error !== stop.signal.reason) throw error;
    });
    return { troubles, paused };
  }
  over.catch(() => {});
  await rm(filler);
  await following;
  const statuses: string[] = [];
  for await (const { type } of platform.events.readAll(['runs'])) statuses.push(type);
  return { troubles, paused, end: { troubles: await platform.troubles(), statuses } };
}

async function told(paused: readonly string[]): Promise<readonly string[]> {
  const isFull = (words: readonly string[]) => /ENOSPC|disk/.test(words.join());
  for (;;) {
    const troubles = await platform.troubles();
    if (isFull(troubles) && isFull(paused)) return troubles;
    await setTimeout(50);
  }
}

/** Takes all the room there is, before anybody else in this process writes another byte. */
function fill(): void {
  const file = openSync(filler, 'w');
  try {
    for (;;) writeSync(file, Buffer.alloc(1 << 12));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    closeSync(file);
  }
}
