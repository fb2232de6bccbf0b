import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { topics as registry } from '@rlhf-streams/events';
import { embeddedLog } from '@rlhf-streams/log';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { topics } from './topics.js';

const COUNT = Object.keys(registry).length;

let directory: string;
let printed: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'topics-'));
  printed = '';
  vi.spyOn(console, 'log').mockImplementation((text: string) => {
    printed += `${text}\n`;
  });
  for (const name of [
    'KAFKA_BROKERS',
    'RLHF_LOG',
    'RLHF_TOPICS_FILE',
    'RLHF_TOPIC_PARTITIONS',
    'RLHF_TOPIC_REPLICATION',
  ])
    vi.stubEnv(name, '');
});
afterEach(async () => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  await rm(directory, { recursive: true });
});

/** What `topics` says, and whether all is as wanted. */
async function run(apply: boolean, yaml?: string): Promise<[asWanted: boolean, printed: string]> {
  printed = '';
  const file = join(directory, 'topics.yaml');
  if (yaml !== undefined) await writeFile(file, yaml);
  const asWanted = await topics({ directory, apply, ...(yaml !== undefined && { file }) });
  return [asWanted, printed];
}

it('tells what is missing, creates it, and then has nothing to do', async () => {
  const [planned, said] = await run(false);
  expect(planned).toBe(false);
  expect(await readdir(directory)).toEqual([]);
  const note = `There is no log in ${directory}; topics apply makes one:\n\n`;
  expect(said.startsWith(note)).toBe(true);
  const plan = said.slice(note.length);
  expect(plan).toMatch(/^dead-letters +create +- +partitions=1, cleanup\.policy=delete, retention\.ms=-1$/m);
  expect(plan).toContain(`${COUNT} topics, ${COUNT} changes to make`);
  expect(await run(false)).toEqual([false, said]);

  const [applied, made] = await run(true);
  expect(applied).toBe(true);
  expect(made).toBe(plan.replace('to make', 'made'));
  expect(await run(false)).toEqual([true, `${COUNT} topics, all as wanted\n`]);
  expect(await run(true)).toEqual([true, `${COUNT} topics, all as wanted\n`]);
});

it('makes what can be made, and names what stays', async () => {
  await run(true);
  const yaml = `
topics:
  rollouts: { partitions: 8, retention: 1d }
  feedback: { retention: 30d }
  rewards: { partitions: 2 }
`;
  const [planned, plan] = await run(false, yaml);
  expect(planned).toBe(false);
  expect(plan).toBe(`topic     what          is      wanted
--------------------------------------------------------------------------------------------------------
rollouts  partitions     6           8
rewards   partitions     6           2  stays: partitions are never removed: their records would be lost
feedback  retention.ms  -1  2592000000

${COUNT} topics, 2 changes to make, 1 that will not be made
`);
  expect(await run(true, yaml)).toEqual([false, plan.replace('to make', 'made')]);
  const [left, rest] = await run(true, yaml);
  expect(left).toBe(false);
  expect(rest).toContain(`${COUNT} topics, 1 that will not be made`);

  const log = await embeddedLog({ directory: join(directory, 'log') });
  const { latest } = await log.positions(['rollouts', 'rewards']);
  await log.close();
  expect([latest.rollouts?.length, latest.rewards?.length]).toEqual([8, 6]);
});
