import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { filesystemArtifacts } from '@rlhf-streams/artifacts';
import { createEvents, topicSpecs } from '@rlhf-streams/bus';
import { memoryLog } from '@rlhf-streams/log';
import type { RunningService } from '@rlhf-streams/service';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Write, watch } from '../bench/ppo/watched-log.js';
import { tinyPpo, writeReviews } from '../platform/tiny-runs.js';
import { type LoggedRun, loggedRun } from './logged.js';
import { completed, request, type Surroundings, startAll, stepsDone, stopAll } from './services.js';

const seed = Number(process.env.STALENESS_SEED ?? Date.now() % 1_000_000);
const STEPS = 6;
const TIMEOUT_MS = 300_000;
const FAULTS = { duplicate: 0.2, crash: 0.1, delay: 0.3, reorder: true };

let folder: string;
let data: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'staleness-'));
  data = await writeReviews(folder);
});
afterAll(() => rm(folder, { recursive: true }));

interface Told {
  readonly run: LoggedRun;
  /** In the order in which the log had them. */
  readonly writes: readonly Write[];
}

/** What issues prompts and answers them. */
const SAMPLING = ['coordinator', 'policy', 'policy'] as const;

/** A run on a log that delivers again, late and in other orders; who issues and answers prompts is replaced under way. */
async function train(maxStaleness: number, ppo: object): Promise<Told> {
  const log = memoryLog({ seed, faults: FAULTS });
  await log.ensureTopics(topicSpecs);
  const directory = await mkdtemp(join(folder, 'run-'));
  const surroundings: Surroundings = {
    log,
    directory,
    artifacts: filesystemArtifacts({ directory: join(directory, 'artifacts') }),
  };
  const watching = watch(log);
  const events = createEvents({ log, source: 'test' });
  const config = { ...tinyPpo(data), steps: STEPS, maxStaleness, ppo };
  const services: RunningService[] = [];
  try {
    services.push(...(await startAll(surroundings, ['reward', 'reference', 'optimizer'])));
    const first = await startAll(surroundings, SAMPLING);
    services.push(...first);
    await request(events, config);
    await stepsDone(events, config.run, 2);
    await stopAll(first);
    services.push(...(await startAll(surroundings, SAMPLING)));
    await completed(events, config.run);
    return { run: await loggedRun(events, config.run), writes: watching.writes() };
  } finally {
    await stopAll(services);
    await watching.close();
    await events.close();
    await log.close();
  }
}

const mean = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0) / numbers.length;

describe.each([
  [0, {}],
  [1, {}],
  [4, { importanceSampling: { cap: 1.5 } }],
])(`a run with maxStaleness %i (STALENESS_SEED=${seed})`, (maxStaleness, ppo) => {
  let told: Told;
  beforeAll(async () => {
    told = await train(maxStaleness, ppo);
  }, TIMEOUT_MS);

  it('never has a rollout of a policy older than that, nor one of a policy to come', () => {
    const { staleness, steps } = told.run;
    expect(Math.min(...staleness)).toBe(0);
    expect(Math.max(...staleness)).toBeLessThanOrEqual(maxStaleness);
    expect(steps.map(({ staleness }) => staleness.length)).toEqual(
      Array.from({ length: STEPS }, () => tinyPpo(data).batchSize),
    );
    if (maxStaleness > 0) expect(Math.max(...steps.flatMap(({ staleness }) => staleness))).toBeGreaterThan(0);
  });

  it('issues no step before the policy is there that may answer it, after a restart either', () => {
    let done = 0;
    for (const { type, data } of told.writes.flatMap(({ events }) => events)) {
      if (type === 'step.completed') done = Math.max(done, data.step! + 1);
      if (type === 'prompt.issued') expect(data.step).toBeLessThanOrEqual(done + maxStaleness);
    }
    expect(done).toBe(STEPS);
  });

  it('reports how stale the rollouts were that it trained on', () => {
    for (const { metrics, staleness } of told.run.steps) {
      expect(metrics['rollout/staleness']).toBeCloseTo(mean(staleness), 12);
      expect(metrics['rollout/staleness_max']).toBe(Math.max(...staleness));
      expect(metrics).not.toHaveProperty(['rollout/failed']);
    }
    expect(told.run.deadLetters).toEqual([]);
  });

  it.runIf('importanceSampling' in ppo)('says by how much it corrects by importance', () => {
    for (const { metrics, staleness } of told.run.steps) {
      const ratio = (of: string) => metrics[`sampling/importance_sampling_ratio/${of}`]!;
      expect(ratio('max')).toBeLessThanOrEqual(1.5);
      expect(ratio('min')).toBeLessThanOrEqual(ratio('mean'));
      if (Math.max(...staleness) === 0) expect([ratio('min'), ratio('max')]).toEqual([1, 1]);
      else expect(ratio('min')).toBeLessThan(1);
    }
  });
});
