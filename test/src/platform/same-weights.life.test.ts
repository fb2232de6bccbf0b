import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DataFor } from '@rlhf-streams/events';
import type { NewRecord } from '@rlhf-streams/log';
import { followRun, type Platform, type PlatformOptions, requestRun, startPlatform } from 'rlhf-streams';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Fact, live } from '../crash/life.js';
import { type Outcome, outcomeIn, outcomeOf } from './outcome.js';
import { oneThread, tinyPpo, writeReviews } from './tiny-runs.js';

let folder: string;
let run: ReturnType<typeof tinyPpo>;
let expected: Outcome;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'platform-'));
  run = tinyPpo(await writeReviews(folder));
  expected = await train('plain');
});
afterAll(() => rm(folder, { recursive: true }));

interface Disturbance extends Omit<PlatformOptions, 'directory'> {
  /** Called one after another: the first while step 1 is under way, the second while step 2 is, or later. */
  readonly disturb?: readonly ((platform: Platform) => Promise<void>)[];
  /** Called when the run is completed. */
  readonly examine?: (platform: Platform) => Promise<void>;
}

/** Does the run on a platform of its own. */
async function train(
  name: string,
  { disturb = [], examine, ...options }: Disturbance = {},
): Promise<Outcome> {
  const directory = join(folder, name);
  const platform = await startPlatform({
    directory,
    logLevel: 'error',
    environment: oneThread,
    ...options,
  });
  try {
    const disturbed: Promise<void>[] = [];
    await requestRun(platform, run);
    await followRun(platform, run.run, {
      step: ({ step }) => {
        const next = disturb[step];
        if (!next) return;
        const doing = (disturbed.at(-1) ?? Promise.resolve()).then(() => next(platform));
        disturbed.push(doing);
        // Met below, when the run has come to its end.
        doing.catch(() => {});
      },
    });
    expect(disturbed).toHaveLength(disturb.length);
    await Promise.all(disturbed);
    await examine?.(platform);
    return await outcomeOf(platform);
  } finally {
    await platform.close();
  }
}

/** What a run needs; without the first of them it cannot complete. */
const workers = ['policy', 'reward', 'reference', 'coordinator', 'optimizer'] as const;

describe('a run ends in the same bits', () => {
  it('on any number of replicas and threads', async () => {
    const replicas = { policy: 3, reward: 2, reference: 2, optimizer: 2, coordinator: 2 };
    const environment = { RLHF_POLICY_THREADS: '2', RLHF_SCORING_THREADS: '3', RLHF_OPTIMIZER_WORKERS: '3' };
    expect(await train('replicas', { replicas, environment })).toEqual(expected);
  });

  it('when every service that works for it is down for a while, or replaced by another replica', async () => {
    const down = async (platform: Platform) => {
      for (const name of workers) await platform.services.find((service) => service.name === name)!.stop();
      expect((await outcomeOf(platform)).steps.length).toBeLessThan(run.steps!);
      for (const name of workers.toReversed()) await platform.start(name);
    };
    const replaced = async (platform: Platform) => {
      for (const name of workers.toReversed()) {
        const old = platform.services.find(
          (service) => service.name === name && service.state !== 'stopped',
        )!;
        await platform.start(name);
        await old.stop();
      }
    };
    expect(await train('interrupted', { disturb: [down, replaced] })).toEqual(expected);
  });

  // A fenced optimizer pauses for ten seconds: the next test runs meanwhile.
  it.concurrent('when its optimizer is fenced and still the owner, as by a broker that a transaction took too long', async () => {
    const fence = async ({ log }: Platform) => (await log.transactional(`optimizer/${run.run}`)).close();
    expect(await train('fenced', { disturb: [fence] })).toEqual(expected);
  });

  it.concurrent('when its topics hold records that are no events; these are dead letters with their cause', async () => {
    const poison: NewRecord[] = ['prompts', 'rollouts'].flatMap((topic) => {
      const type = topic === 'prompts' ? 'prompt.issued' : 'rollout.generated';
      return [
        { topic, key: 'bytes', value: Uint8Array.of(0xff, 0x00, 0xc3, 0x28) },
        { topic, key: 'json', value: '{"run": ', headers: { ce_id: 'cut', ce_type: type } },
        { topic, key: 'data', value: '{"run": "ppo"}', headers: { ce_id: 'empty', ce_type: type } },
      ];
    });
    const codes = { bytes: 'EVENT_UNKNOWN_TYPE', json: 'EVENT_NOT_JSON', data: 'EVENT_INVALID' };
    const readers = { prompts: ['policy'], rollouts: ['optimizer', 'reference', 'reward'] };
    const letters = poison.flatMap(({ topic, key, value }) =>
      readers[topic as keyof typeof readers].map(
        (service) =>
          `${service} ${topic} ${codes[key as keyof typeof codes]} ${Buffer.from(value).toString('base64')}`,
      ),
    );
    const summaryOf = ({ service, source, cause, value }: DataFor<'record.rejected'>) =>
      `${service} ${source.topic} ${cause.code} ${value}`;

    const examine = async ({ events }: Platform) => {
      const missing = new Set(letters);
      for await (const { data } of events.follow({ topics: ['dead-letters'] })) {
        missing.delete(summaryOf(data));
        if (missing.size === 0) return;
      }
    };
    const outcome = await train('poisoned', { disturb: [({ log }) => log.publish(poison)], examine });
    expect(outcome.deadLetters.map(summaryOf).sort()).toEqual(letters.sort());
    expect({ ...outcome, deadLetters: [] }).toEqual(expected);
  });

  it('when its process is asked to stop, exits with nothing left undone, and goes on later', async () => {
    const life = { directory: join(folder, 'stopped'), runs: [run], facts: new Map<string, Fact>() };
    const steps = () => [...life.facts.values()].filter(({ type }) => type === 'step.completed').length;
    expect(await live({ ...life, end: { facts: 80, delayMs: 0, signal: 'SIGTERM' } })).toBe('completed');
    expect(steps()).toBeLessThan(run.steps!);
    expect(await live(life)).toBe('completed');
    expect(await outcomeIn(life.directory)).toEqual(expected);
  });
});
