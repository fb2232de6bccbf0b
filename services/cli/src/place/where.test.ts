import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { topicSpecs } from '@rlhf-streams/bus';
import { embeddedLog } from '@rlhf-streams/log';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { openClient } from './client.js';
import { openPlace, openToLook } from './where.js';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'where-'));
  for (const name of ['KAFKA_BROKERS', 'RLHF_LOG']) vi.stubEnv(name, '');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(directory, { recursive: true });
});

it('who only looks makes no log, and no topics', async () => {
  const nothing = { code: 'CLI_NOTHING_THERE', message: expect.stringContaining(directory) };
  await expect(openToLook({ directory })).rejects.toMatchObject(nothing);
  expect(await readdir(directory)).toEqual([]);

  const log = await embeddedLog({ directory: join(directory, 'log') });
  await log.close();
  await expect(openToLook({ directory })).rejects.toMatchObject(nothing);
  // The lock was given back, so the log opens again.
  const again = await embeddedLog({ directory: join(directory, 'log') });
  const missing = (await again.planTopics(topicSpecs)).length;
  expect(missing).toBe(topicSpecs.length);
  await again.ensureTopics(topicSpecs);
  await again.close();

  const client = await openToLook({ directory });
  await client.close();
});

it('there are no services to attach to on a log that one process has for itself', async () => {
  await expect(openPlace({ directory, attach: true })).rejects.toMatchObject({ code: 'CLI_LOG_PRIVATE' });
});

it('a file is no folder to run in, nor to look into', async () => {
  const file = join(directory, 'file');
  await writeFile(file, 'of the user');
  for (const path of [file, join(file, 'below')]) {
    await expect(openPlace({ directory: path })).rejects.toMatchObject({
      code: 'CLI_DIRECTORY_FOREIGN',
      message: expect.stringContaining(`got ${path}, a `),
    });
    await expect(openToLook({ directory: path })).rejects.toMatchObject({ code: 'CLI_NOTHING_THERE' });
  }
});

it('a log of an earlier build loses no work by its age, as what is not archived must stay', async () => {
  const long = Date.now() - 30 * 24 * 60 * 60 * 1000;
  const log = await embeddedLog({ directory: join(directory, 'log'), now: () => long });
  await log.ensureTopics(
    topicSpecs.map((spec) =>
      spec.name === 'rollouts' ? { ...spec, retentionMs: 7 * 24 * 60 * 60 * 1000 } : spec,
    ),
  );
  await log.publish([{ topic: 'rollouts', key: 'a', value: '{}' }]);
  await log.close();

  const client = await openClient({ directory });
  const { earliest, latest } = await client.log.positions(['rollouts']);
  expect(latest).not.toEqual(earliest);
  expect(await client.log.planTopics(topicSpecs)).toEqual([]);
  await client.close();
});
