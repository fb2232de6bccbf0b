import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createEvents } from '@rlhf-streams/bus';
import { seededRandom } from '@rlhf-streams/data';
import { openLog } from '@rlhf-streams/service';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const seed = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000);
const random = seededRandom(seed);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'experiment-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** Requests on the log of a folder that no process has open, by run. */
async function requestsIn(directory: string): Promise<string[]> {
  const log = await openLog({ RLHF_DATA_DIR: directory });
  try {
    const requested: string[] = [];
    for await (const { type, data } of createEvents({ log, source: 'test' }).readAll(['runs']))
      if (type === 'run.requested') requested.push(data.run);
    return requested.sort();
  } finally {
    await log.close();
  }
}

describe('a gateway that is killed while it is asked for an experiment', () => {
  const RUNS = 200;
  const child = fileURLToPath(new URL('./request.child.js', import.meta.url));

  it(`has requested all of its runs, or none (CRASH_SEED=${seed})`, async () => {
    const names = Array.from({ length: RUNS }, (_, n) => `r${String(n).padStart(3, '0')}`);
    for (let round = 0; round < 4; round++) {
      const directory = join(folder, `round-${round}`);
      const gateway = spawn(process.execPath, [child, directory, JSON.stringify(names)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const exited = once(gateway, 'exit');
      await once(gateway.stdout, 'data');
      await delay(random.below(60));
      gateway.kill('SIGKILL');
      await exited;
      const requested = await requestsIn(directory);
      expect(requested.length === 0 ? names : requested).toEqual(names);
    }
  }, 120_000);
});
