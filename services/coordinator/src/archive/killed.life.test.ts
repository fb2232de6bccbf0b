import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runEvents } from '@rlhf-streams/archive';
import { filesystemArtifacts } from '@rlhf-streams/artifacts';
import { createEvents, type NewEvent, topicSpecs } from '@rlhf-streams/bus';
import { type EventLog, embeddedLog } from '@rlhf-streams/log';
import { readRuns } from '@rlhf-streams/runs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Moment } from './killed.test.child.js';

const RUNS = ['a', 'b'];
const EXAMPLES = 300;
const child = fileURLToPath(new URL('./killed.test.child.js', import.meta.url));

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'killed-'));
});
afterEach(() => rm(directory, { recursive: true }));

async function withLog<T>(work: (log: EventLog) => Promise<T>): Promise<T> {
  const log = await embeddedLog({ directory: join(directory, 'log') });
  try {
    return await work(log);
  } finally {
    await log.close();
  }
}

/** How a coordinator on the folder ended. */
async function live(moment: Moment): Promise<number | NodeJS.Signals> {
  const process_ = spawn(process.execPath, [child, directory, moment], {
    stdio: ['ignore', 'ignore', 'inherit'],
    timeout: 60_000,
  });
  const [code, signal] = (await once(process_, 'exit')) as [number | null, NodeJS.Signals | null];
  return signal ?? code!;
}

const begin = (run: string): NewEvent[] => [
  {
    type: 'run.requested',
    id: `${run}/requested`,
    data: { run, config: { run, method: 'sft', steps: 1, model: 'm', data: 'd' } },
  },
  {
    type: 'run.started',
    id: `${run}/started`,
    data: { run, config: {}, steps: 1, testItems: 0, models: {}, artifacts: {}, from: {} },
  },
];
const end = (run: string): NewEvent => ({
  type: 'run.failed',
  id: `${run}/failed`,
  data: { run, cause: { code: 'NO', message: 'no' } },
});
const example = (run: string, index: number): NewEvent => ({
  type: 'demonstration.recorded',
  id: `${run}/0/${index}`,
  data: {
    run,
    step: 0,
    demonstration: `${run}/0/${index}`,
    split: 'train',
    promptTokens: [],
    tokens: [index],
  },
});

it('a coordinator that is killed at any moment of archiving has archived every run once, in the end', async () => {
  await withLog(async (log) => {
    await log.ensureTopics(topicSpecs);
    const events = createEvents({ log, source: 'test' });
    await events.publish(RUNS.flatMap(begin));
    await events.publish(
      Array.from({ length: EXAMPLES }, (_, index) => RUNS.map((run) => example(run, index))).flat(),
    );
    await events.publish(RUNS.map(end));
  });

  for (const moment of ['write', 'put', 'stored', 'said'] as const)
    expect(await live(moment)).toBe('SIGKILL');
  expect(await live('never')).toBe(0);

  expect(await readdir(join(directory, 'tmp'))).toEqual([]);
  await withLog(async (log) => {
    const events = createEvents({ log, source: 'test' });
    const artifacts = filesystemArtifacts({ directory: join(directory, 'artifacts') });
    const archived: string[] = [];
    for await (const { type, data } of events.readAll(['runs']))
      if (type === 'run.archived') archived.push(data.run);
    expect(archived.toSorted()).toEqual(RUNS);
    const { latest } = await log.positions(['demonstrations']);
    await log.trim(latest);
    const runs = await readRuns(events.readAll(['runs']));
    for (const run of RUNS) {
      const ids: string[] = [];
      for await (const { id } of runEvents({ events, artifacts }, runs.get(run)!, ['demonstrations']))
        ids.push(id);
      expect(ids.toSorted()).toEqual(
        Array.from({ length: EXAMPLES }, (_, index) => `${run}/0/${index}`).toSorted(),
      );
    }
  });
}, 240_000);
