import '@rlhf-streams/kafka-broker/vitest';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Client, openClient } from 'rlhf-streams';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { tinyPpo, tinySft, writeReviews } from '../platform/tiny-runs.js';
import { ENDLESS, goOn } from './endless.js';
import { ledgerOf, undisturbed } from './ledger.js';
import { environmentOn } from './services.js';
import { until } from './waiting.js';

const command = fileURLToPath(new URL('../bin/rlhf-streams.js', import.meta.resolve('rlhf-streams')));
const TIMEOUT_MS = 180_000;
const SERVICES = 7;
const kafka = inject('kafka');

let folder: string;
let data: string;
let environment: Record<string, string>;
let child: ChildProcess | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'command-'));
  data = await writeReviews(folder);
  environment = environmentOn(kafka!.brokers);
});
afterEach(async () => {
  for (const pid of await processes()) process.kill(pid, 'SIGKILL');
  await rm(folder, { recursive: true });
});

/** The command and the services it starts: all that run with this test's prefix. */
async function processes(): Promise<number[]> {
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 0 && pid !== process.pid);
  const found = await Promise.all(
    pids.map(async (pid) => {
      const variables = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
      return variables.includes(`KAFKA_PREFIX=${environment.KAFKA_PREFIX}\0`) ? [pid] : [];
    }),
  );
  return found.flat();
}

/** `rlhf-streams run` in a process group of its own, as a shell starts it: the runs are requested together. */
async function run(runs: readonly object[]) {
  const file = join(folder, 'runs.yaml');
  await writeFile(file, JSON.stringify({ experiment: 'mine', runs }));
  const { KAFKA_BROKERS: brokers, ...env } = environment;
  const args = [
    'run',
    file,
    '--brokers',
    brokers!,
    '--replicas',
    'policy=2',
    '--directory',
    join(folder, 'kafka'),
  ];
  child = spawn(process.execPath, [command, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const ended = once(child, 'close');
  let output = '';
  for (const stream of [child.stdout!, child.stderr!])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  return { child, ended, output: () => output };
}

/** What somebody else sees on the same log. */
async function onTheLog<T>(look: (client: Client) => Promise<T>): Promise<T> {
  const client = await openClient({ directory: join(folder, 'kafka'), environment });
  return look(client).finally(() => client.close());
}

describe.skipIf(!kafka || process.platform !== 'linux')('rlhf-streams run FILE --brokers', () => {
  it(
    'does the runs, exits with 0, and leaves no process behind',
    async () => {
      const runs = [tinySft(data), { ...tinyPpo(data, 'run:sft'), steps: 2 }];
      const { ended, output } = await run(runs);
      expect({ exit: await ended, output: output() }).toMatchObject({ exit: [0, null] });
      expect(await processes()).toEqual([]);
      expect(await onTheLog(ledgerOf)).toEqual(await undisturbed(join(folder, 'embedded'), runs));
    },
    TIMEOUT_MS,
  );

  it.each([
    ['interrupted from the terminal', 'SIGINT', [130, null]],
    ['killed', 'SIGKILL', [null, 'SIGKILL']],
  ] as const)(
    'leaves no process behind when it is %s',
    async (_, signal, exit) => {
      const config = { ...tinyPpo(data), steps: ENDLESS };
      const { child, ended, output } = await run([config]);
      await onTheLog((client) => goOn(client, [config]));
      expect(await processes()).toHaveLength(1 + SERVICES);
      process.kill(-child.pid!, signal);
      expect({ exit: await ended, output: output() }).toMatchObject({ exit });
      await until('every service to end', async () => (await processes()).length === 0);
    },
    TIMEOUT_MS,
  );
});
