import { createHash } from 'node:crypto';
import type { ArtifactStore } from '@rlhf-streams/artifacts';
import { createEvents, type Events, topicSpecs } from '@rlhf-streams/bus';
import type { DataFor } from '@rlhf-streams/events';
import { type EventLog, memoryLog } from '@rlhf-streams/log';
import { createLogger, defineService, type RunningService, startService } from '@rlhf-streams/service';
import { createModelHost, type ModelFiles } from '@rlhf-streams/serving';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import type { PolicyModel } from './models.js';
import { createPolicies, type Policies } from './policies.js';

const WAIT = { timeout: 20_000, interval: 2 };
const running = { timeoutMs: 20_000, signal: new AbortController().signal };

let log: EventLog;
let events: Events;
/** How a fetch ends, by the version that the artifact holds; fetches of other versions succeed at once. */
let fetches: Map<number, (signal: AbortSignal) => Promise<string>>;
let fetched: string[];
/** `run@version` of what is in memory, or a part of it, by key. */
let loaded: Map<string, string>;
let service: RunningService | undefined;

beforeEach(async () => {
  log = memoryLog();
  await log.ensureTopics(topicSpecs);
  events = createEvents({ log, source: 'test' });
  fetches = new Map();
  fetched = [];
  loaded = new Map();
});
afterEach(async () => {
  await service?.stop();
  await events.close();
  await log.close();
});

const inMemory = () => [...loaded.values()].sort();

const modelOf = (key: string): PolicyModel => ({
  generate: () => Promise.reject(new Error('nothing is generated here')),
  judge: () => Promise.reject(new Error('nothing is judged here')),
  complete: () => Promise.reject(new Error('nothing is completed here')),
  encode: async () => {
    if (!loaded.has(key)) throw new Error(`model ${key} is not loaded`);
    return { prompts: [], stopTokens: [0], contextLength: 1 };
  },
});
const load = async ({ key, ref }: ModelFiles) => {
  loaded.set(key, ref.base.uri);
  return modelOf(key);
};

const artifacts = {
  fetch: async ({ uri }, { signal } = {}) => {
    fetched.push(uri);
    const outcome = fetches.get(Number(uri.split('@')[1]));
    return outcome ? outcome(signal!) : uri;
  },
} satisfies Partial<ArtifactStore> as unknown as ArtifactStore;

async function follow(options: { timeoutMs?: number; load?: typeof load } = {}): Promise<Policies> {
  let policies: Policies | undefined;
  const definition = defineService({
    name: 'policy',
    settings: z.object({}),
    start: (context) => {
      const host = createModelHost<PolicyModel>(context, {
        what: 'policy',
        load,
        unload: async (key) => void loaded.delete(key),
        ...options,
      });
      policies = createPolicies(context, {
        hosts: { versions: host, frozen: host },
        replica: 'mine',
        pauseMs: 1,
      });
    },
  });
  const logger = createLogger({ level: 'silent' });
  service = await startService(definition, { log, artifacts, environment: {}, port: 0, logger });
  return policies!;
}

const config = {
  method: 'ppo',
  steps: 9,
  model: 'm',
  prompts: 'd',
  scorers: ['gold:d'],
};
const start = (run: string) =>
  events.publish([{ type: 'run.requested', id: run, data: { run, config: { ...config, run } } }]);
const end = (run: string) =>
  events.publish([{ type: 'run.cancelled', id: `${run}/end`, data: { run, reason: 'enough' } }]);
const publish = (run: string, version: number) => {
  const base = {
    uri: `${run}@${version}`,
    sha256: createHash('sha256').update(`${run}@${version}`).digest('hex'),
  };
  return events.publish([
    { type: 'policy.published', id: base.uri, data: { run, version, step: version, model: { base } } },
  ]);
};
const versionUsed = (policies: Policies, run: string, least: number) =>
  policies.use(run, least, running, async (policy) => {
    await policy.encode([]);
    return policy.version;
  });

type Report = DataFor<'replica.applied'> | DataFor<'replica.behind'>;
async function reports(): Promise<Report[]> {
  const said: Report[] = [];
  for await (const { data } of events.readAll(['policy-replicas'])) said.push(data);
  return said;
}
const reported = (...expected: object[]) =>
  vi.waitFor(async () => expect(await reports()).toMatchObject(expected), WAIT);

function gate() {
  let open = (_: string) => {};
  const opened = new Promise<string>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

describe('a run that the replica serves', () => {
  it('has each version fetched when it is published, and reported when it is in use', async () => {
    const policies = await follow();
    await publish('r', 0);
    await publish('other', 0);
    expect(await versionUsed(policies, 'r', 0)).toBe(0);
    await publish('other', 1);
    await publish('r', 1);
    await reported(
      { replica: 'mine', run: 'r', version: 0, fetchMs: expect.any(Number) },
      { replica: 'mine', run: 'r', version: 1 },
    );
    expect(fetched).toEqual(['r@0', 'r@1']);
    expect(await versionUsed(policies, 'r', 0)).toBe(1);
  });

  it('goes on with the version it has while the next is on its way, and then takes the newest', async () => {
    const arrival = gate();
    fetches.set(1, () => arrival.opened);
    const policies = await follow();
    await publish('r', 0);
    await versionUsed(policies, 'r', 0);
    await publish('r', 1);
    await vi.waitFor(() => expect(fetched).toContain('r@1'), WAIT);
    await publish('r', 2);
    await publish('r', 3);
    expect(await versionUsed(policies, 'r', 0)).toBe(0);
    const needed = versionUsed(policies, 'r', 1);
    await policies.versions.waitFor((state) => state.get('r')!.version === 3, {
      timeoutMs: 20_000,
      what: 'version 3',
    });
    arrival.open('r@1');
    expect(await needed).toBeGreaterThanOrEqual(1);
    expect(await versionUsed(policies, 'r', 3)).toBe(3);
    expect(fetched).toEqual(['r@0', 'r@1', 'r@3']);
  });

  it('keeps a version in memory until its last user is done, and no longer', async () => {
    const policies = await follow();
    await publish('r', 0);
    const done = gate();
    const using = gate();
    const first = policies.use('r', 0, running, async (policy) => {
      using.open('');
      await done.opened;
      await policy.encode([]);
      return policy.version;
    });
    await using.opened;
    await publish('r', 1);
    expect(await versionUsed(policies, 'r', 1)).toBe(1);
    expect(inMemory()).toEqual(['r@0', 'r@1']);
    done.open('');
    expect(await first).toBe(0);
    await vi.waitFor(() => expect(inMemory()).toEqual(['r@1']), WAIT);
  });
});

describe('a version that cannot be fetched', () => {
  const unreachable = () => Promise.reject(Object.assign(new Error('no route'), { code: 'STORE_DOWN' }));

  it('is said to be missing, tried again, and in use when it comes', async () => {
    fetches.set(1, unreachable);
    const policies = await follow();
    await publish('r', 0);
    await versionUsed(policies, 'r', 0);
    await publish('r', 1);
    const behind = { run: 'r', version: 1, applied: 0, cause: { code: 'STORE_DOWN', message: 'no route' } };
    await vi.waitFor(() => expect(policies.troubles()).toMatchObject([behind]), WAIT);
    // A prompt that allows the version before goes on; one that does not has to wait.
    expect(await versionUsed(policies, 'r', 0)).toBe(0);
    await expect(versionUsed(policies, 'r', 1)).rejects.toMatchObject({
      code: 'RUNTIME_UNAVAILABLE',
      message: 'expected version 1 of run r: no route',
    });
    await vi.waitFor(() => expect(policies.troubles()[0]!.failures).toBeGreaterThan(3), WAIT);
    fetches.delete(1);
    await vi.waitFor(() => expect(policies.troubles()).toEqual([]), WAIT);
    expect(await versionUsed(policies, 'r', 1)).toBe(1);
    // `replica.behind` is reported once, however often the version was tried.
    await reported({ version: 0 }, { replica: 'mine', ...behind }, { replica: 'mine', run: 'r', version: 1 });
  });

  it('within its time is given up, and its fetch told', async () => {
    const told = vi.fn();
    fetches.set(0, (signal) => {
      signal.addEventListener('abort', told);
      return new Promise(() => {});
    });
    const policies = await follow({ timeoutMs: 5 });
    await publish('r', 0);
    await expect(versionUsed(policies, 'r', 0)).rejects.toMatchObject({ code: 'RUNTIME_UNAVAILABLE' });
    expect(policies.troubles()).toMatchObject([{ version: 0, cause: { code: 'RUNTIME_DEADLINE' } }]);
    expect(told).toHaveBeenCalled();
  });

  it('leaves nothing in memory when only a part of it could be loaded', async () => {
    let attempts = 0;
    const policies = await follow({
      load: async (files) => {
        const model = await load(files);
        if (++attempts === 1) throw new Error('no memory');
        return model;
      },
    });
    await publish('r', 0);
    await expect(versionUsed(policies, 'r', 0)).rejects.toMatchObject({ code: 'RUNTIME_UNAVAILABLE' });
    await vi.waitFor(async () => expect(await versionUsed(policies, 'r', 0)).toBe(0), WAIT);
    await vi.waitFor(() => expect(inMemory()).toEqual(['r@0']), WAIT);
  });

  it('is left to replicas that have it, until it comes', async () => {
    fetches.set(0, unreachable);
    const policies = await follow();
    await publish('r', 0);
    await expect(versionUsed(policies, 'r', 0)).rejects.toMatchObject({ code: 'RUNTIME_UNAVAILABLE' });
    const outrun = vi.fn();
    const waiting = policies.outrun(2, running.signal).then(outrun);
    await vi.waitFor(() => expect(policies.troubles()[0]!.failures).toBeGreaterThan(2), WAIT);
    expect(outrun).not.toHaveBeenCalled();
    const applied = { replica: 'another', run: 'r', version: 0, fetchMs: 1 };
    await events.publish([{ type: 'replica.applied', id: 'another', data: applied }]);
    await waiting;

    const recovered = vi.fn();
    const recovery = policies.recovered(running.signal).then(recovered);
    const { failures } = policies.troubles()[0]!;
    await vi.waitFor(() => expect(policies.troubles()[0]!.failures).toBeGreaterThan(failures), WAIT);
    expect(recovered).not.toHaveBeenCalled();
    fetches.delete(0);
    await recovery;
    expect(await versionUsed(policies, 'r', 0)).toBe(0);
  });
});

describe('a run that has ended', () => {
  it('is followed no more: its versions leave the memory, and its troubles are over', async () => {
    fetches.set(1, () => Promise.reject(new Error('gone')));
    const policies = await follow();
    await start('r');
    await publish('r', 0);
    await versionUsed(policies, 'r', 0);
    await publish('r', 1);
    await vi.waitFor(() => expect(policies.troubles()).toHaveLength(1), WAIT);
    await end('r');
    await vi.waitFor(() => expect(policies.troubles()).toEqual([]), WAIT);
    await vi.waitFor(() => expect(inMemory()).toEqual([]), WAIT);
    await expect(versionUsed(policies, 'r', 0)).rejects.toMatchObject({ code: 'RUNTIME_UNAVAILABLE' });
  });

  it('can still be sampled from, by its newest version; memory holds the runs used last', async () => {
    const policies = await follow();
    const use = (run: string) =>
      policies.useNewest(run, running, async (policy) => {
        await policy.encode([]);
        return policy.version;
      });
    for (const run of ['a', 'b', 'c']) {
      await start(run);
      await publish(run, 0);
      expect(await use(run)).toBe(0);
      await publish(run, 1);
      await end(run);
      const soon = { timeoutMs: 20_000, what: `the end of ${run}` };
      await policies.runs.waitFor((state) => state.get(run)?.status === 'cancelled', soon);
      await policies.versions.waitFor((state) => state.get(run)?.version === 1, soon);
      expect(await use(run)).toBe(1);
    }
    await vi.waitFor(() => expect(inMemory()).toEqual(['b@1', 'c@1']), WAIT);
    expect(await use('b')).toBe(1);
    expect(await use('a')).toBe(1);
    await vi.waitFor(() => expect(inMemory()).toEqual(['a@1', 'b@1']), WAIT);
  });
});
