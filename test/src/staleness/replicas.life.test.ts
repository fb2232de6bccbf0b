import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ArtifactError, type ArtifactStore, filesystemArtifacts } from '@rlhf-streams/artifacts';
import { createEvents, type Events, topicSpecs } from '@rlhf-streams/bus';
import type { DataFor } from '@rlhf-streams/events';
import { type EventLog, memoryLog } from '@rlhf-streams/log';
import type { RunningService } from '@rlhf-streams/service';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { tinyPpo, writeReviews } from '../platform/tiny-runs.js';
import { loggedRun } from './logged.js';
import { completed, request, type Surroundings, start, startAll, stepsDone, stopAll } from './services.js';

const WAIT = { timeout: 60_000, interval: 20 };
const TIMEOUT_MS = 300_000;
const OTHERS = ['reward', 'reference', 'optimizer', 'coordinator'] as const;

let folder: string;
let log: EventLog;
let events: Events;
let surroundings: Surroundings;
let run: ReturnType<typeof tinyPpo>;
const services: RunningService[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'replicas-'));
  run = tinyPpo(await writeReviews(folder));
  log = memoryLog();
  await log.ensureTopics(topicSpecs);
  events = createEvents({ log, source: 'test' });
  const artifacts = filesystemArtifacts({ directory: join(folder, 'artifacts') });
  surroundings = { log, artifacts, directory: folder };
});
afterEach(async () => {
  await stopAll(services.splice(0));
  await events.close();
  await log.close();
  await rm(folder, { recursive: true });
});

const startPolicy = async (replica: string, artifacts: ArtifactStore = surroundings.artifacts) => {
  const service = await start('policy', { ...surroundings, artifacts }, { RLHF_REPLICA: replica });
  services.push(service);
  return service;
};

/** The store as a replica sees it that is cut off after fetching `most` artifacts, until it heals. */
function unreliable(store: ArtifactStore, most: number) {
  const fetched = new Set<string>();
  let isCutOff = true;
  let refused = 0;
  const artifacts: ArtifactStore = {
    ...store,
    fetch: async (ref, options) => {
      if (isCutOff && fetched.size >= most && !fetched.has(ref.sha256)) {
        refused++;
        throw new ArtifactError('ARTIFACT_STORE_UNAVAILABLE', 'the store is out of reach');
      }
      fetched.add(ref.sha256);
      return store.fetch(ref, options);
    },
  };
  return {
    artifacts,
    refused: () => refused,
    heal: () => {
      isCutOff = false;
    },
  };
}

type Behind = DataFor<'replica.behind'>;

/** The first report of a replica that it is behind. */
async function behind(replica: string): Promise<Behind> {
  for await (const { type, data } of events.follow({ topics: ['policy-replicas'] })) {
    if (type === 'replica.behind' && data.replica === replica) return data;
  }
  throw new Error(`expected ${replica} to say that it is behind`);
}

/** Resolves when a replica has applied a version, or a later one. */
async function applied(replica: string, version: number): Promise<void> {
  for await (const { type, data } of events.follow({ topics: ['policy-replicas'] })) {
    if (type === 'replica.applied' && data.replica === replica && data.version >= version) return;
  }
}

const readiness = async (service: RunningService) => {
  const response = await service.request('/readyz');
  return { status: response.status, body: (await response.json()) as object };
};

describe('a policy replica that cannot fetch the weights', () => {
  it(
    'says so, leaves the prompts to one that can, and takes them again when it has caught up',
    async () => {
      const store = unreliable(surroundings.artifacts, 2);
      const well = await startPolicy('well');
      const sick = await startPolicy('sick', store.artifacts);
      services.push(...(await startAll(surroundings, OTHERS)));
      const long = { ...run, steps: 1_000_000 };
      await request(events, long);

      const said = await behind('sick');
      expect(said).toMatchObject({
        run: long.run,
        applied: said.version - 1,
        cause: { code: 'ARTIFACT_STORE_UNAVAILABLE', message: 'the store is out of reach' },
      });
      expect(await readiness(sick)).toMatchObject({
        status: 503,
        body: {
          failing: {
            policies: expect.stringMatching(/run ppo: expected version \d+, got 1: .*out of reach/),
          },
        },
      });
      expect(await readiness(well)).toMatchObject({ status: 200 });
      // Every step needs the prompts of every partition: those that were the sick replica's are answered by the other.
      await stepsDone(events, long.run, said.version + 3);

      store.heal();
      await applied('sick', said.version + 3);
      await vi.waitFor(async () => expect(await readiness(sick)).toMatchObject({ status: 200 }), WAIT);
      await well.stop();
      const { steps } = await loggedRun(events, long.run);
      await stepsDone(events, long.run, steps.length + 3);

      const cancelled = { run: long.run, reason: 'enough' };
      await events.publish([{ type: 'run.cancelled', id: 'enough', data: cancelled }]);
      const { staleness, deadLetters } = await loggedRun(events, long.run);
      expect(new Set(staleness)).toEqual(new Set([0]));
      expect(deadLetters).toEqual([]);
    },
    TIMEOUT_MS,
  );

  it(
    'makes the run wait when there is no other, and gives up no prompt',
    async () => {
      const store = unreliable(surroundings.artifacts, 2);
      const alone = await startPolicy('alone', store.artifacts);
      services.push(...(await startAll(surroundings, OTHERS)));
      await request(events, run);
      expect(await behind('alone')).toMatchObject({ version: 2, applied: 1 });
      await vi.waitFor(() => expect(store.refused()).toBeGreaterThan(1), WAIT);
      expect((await loggedRun(events, run.run)).steps).toHaveLength(2);
      store.heal();
      await completed(events, run.run);
      const { steps, deadLetters } = await loggedRun(events, run.run);
      expect(steps).toHaveLength(run.steps!);
      expect(deadLetters).toEqual([]);
      await vi.waitFor(async () => expect(await readiness(alone)).toMatchObject({ status: 200 }), WAIT);
    },
    TIMEOUT_MS,
  );
});
