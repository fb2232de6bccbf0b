import type { ArtifactRef } from '@rlhf-streams/artifacts';
import type { ModelRef } from '@rlhf-streams/events';
import type { Probe } from '@rlhf-streams/service';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { createModelHost, type ModelHost, type ModelHostOptions } from './model-host.js';

const WAIT = { timeout: 20_000, interval: 1 };
const refOf = (name: string): ModelRef => ({ base: { uri: `artifact:${name}`, sha256: name } });
const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(refOf) as [ModelRef, ModelRef, ModelRef, ModelRef];

/** Keys of what is in memory, or partly so. */
let memory: Set<string>;
/** Folders that were read, in this order. */
let loads: string[];
let wanted: Set<string>;
/** How a fetch ends, by sha256; other fetches succeed at once. */
let fetches: Map<string, (signal: AbortSignal) => Promise<string>>;
let service: AbortController;
let checks: Map<string, Probe>;
let failed: unknown[];
const never = new AbortController().signal;

beforeEach(() => {
  memory = new Set();
  loads = [];
  wanted = new Set();
  fetches = new Map();
  service = new AbortController();
  checks = new Map();
  failed = [];
});

function createHost(options: Partial<ModelHostOptions<string>> = {}): ModelHost<string> {
  const context = {
    artifacts: {
      fetch: async ({ sha256 }: ArtifactRef, { signal }: { signal: AbortSignal }) =>
        fetches.get(sha256)?.(signal) ?? `/${sha256}`,
    } as unknown as Parameters<typeof createModelHost>[0]['artifacts'],
    readiness: { check: (name: string, probe: Probe) => void checks.set(name, probe) },
    signal: service.signal,
    fail: (error: unknown) => void failed.push(error),
  };
  return createModelHost(context, {
    what: 'reference',
    load: async ({ key, ref, folders: { base, adapter } }) => {
      loads.push(adapter === undefined ? base : `${base} ${adapter}`);
      memory.add(key);
      return ref.base.sha256.toUpperCase();
    },
    unload: async (key) => void memory.delete(key),
    isWanted: ({ base }) => wanted.has(base.sha256),
    ...options,
  });
}

/** Keys are `sha256#number`. */
const inMemory = () => [...memory].map((key) => key.split('#')[0]).sort();
const named = async (model: string) => model;
const isReady = () => checks.get('references')!();

function gate<T = void>() {
  let open = (_: T) => {};
  const opened = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

const cutOff = () =>
  Promise.reject(Object.assign(new Error('no store'), { code: 'ARTIFACT_STORE_UNAVAILABLE' }));

/** Fetches that end when they are told to stop, and by nothing else. */
function hanging() {
  const told = vi.fn();
  const fetch = (signal: AbortSignal) =>
    new Promise<string>((_, reject) => {
      signal.addEventListener('abort', () => {
        told();
        reject(signal.reason);
      });
    });
  return { fetch, told };
}

describe('a model', () => {
  it('is loaded once, for all who use or pin it', async () => {
    const host = createHost();
    const pin = host.pin(a, never);
    expect(await Promise.all([host.use(a, named), host.use(a, named), pin.use(named)])).toEqual([
      'A',
      'A',
      'A',
    ]);
    expect(await host.use(a, named)).toBe('A');
    expect(loads).toEqual(['/a']);
  });

  it('stays while it is wanted or in use; of the rest those stay that were used last', async () => {
    wanted.add('a');
    const host = createHost();
    await host.use(a, named);
    const done = gate();
    const using = host.use(b, () => done.opened);
    for (const name of ['c', 'd', 'e', 'd', 'f']) await host.use(refOf(name), named);
    await vi.waitFor(() => expect(inMemory()).toEqual(['a', 'b', 'd', 'f']), WAIT);
    done.open();
    await using;
    wanted.clear();
    await host.use(refOf('g'), named);
    await vi.waitFor(() => expect(inMemory()).toEqual(['f', 'g']), WAIT);
    expect(failed).toEqual([]);
  });

  it('that is pinned stays until it is released and its last user is done, and no longer', async () => {
    const host = createHost();
    const pins = [host.pin(a, never), host.pin(a, never)];
    await Promise.all(pins.map(({ loaded }) => loaded));
    const done = gate();
    const using = pins[0]!.use(() => done.opened);
    pins[0]!.release();
    pins[0]!.release();
    for (const name of ['b', 'c', 'd']) await host.use(refOf(name), named);
    pins[1]!.release();
    await host.use(c, named);
    expect(inMemory()).toContain('a');
    done.open();
    await using;
    await vi.waitFor(() => expect(inMemory()).toEqual(['c', 'd']), WAIT);
  });

  it('is released when the signal of its pin aborts', async () => {
    const host = createHost();
    const leaving = new AbortController();
    await host.pin(a, leaving.signal).loaded;
    leaving.abort();
    await vi.waitFor(() => expect(inMemory()).toEqual([]), WAIT);
  });

  it('whose memory cannot be freed fails the service', async () => {
    const error = new Error('it is stuck');
    const host = createHost({ unload: () => Promise.reject(error) });
    const pin = host.pin(a, never);
    await pin.loaded;
    pin.release();
    await vi.waitFor(() => expect(failed).toEqual([error]), WAIT);
  });
});

describe('a model with an adapter', () => {
  const adapted = { ...a, adapter: b.base };

  it('is another one than its base, and is loaded from both of their folders', async () => {
    const host = createHost();
    await host.use(a, named);
    await host.use(adapted, named);
    expect(loads).toEqual(['/a', '/a /b']);
    expect(inMemory()).toEqual(['a', 'a+b']);
  });

  it.each([
    ['a', 'expected the base of reference a+b to be fetched: no store'],
    ['b', 'expected the adapter of reference a+b to be fetched: no store'],
  ])('whose part %s cannot be fetched says which it is', async (part, message) => {
    fetches.set(part, cutOff);
    await expect(createHost().use(adapted, named)).rejects.toMatchObject({
      code: 'RUNTIME_UNAVAILABLE',
      message,
    });
    expect(loads).toEqual([]);
  });
});

describe('a model that cannot be fetched', () => {
  it('is unavailable; /readyz says so while a run wants it; the next use tries again', async () => {
    const host = createHost();
    wanted.add('c');
    for (const model of [c, d]) {
      fetches.set(model.base.sha256, cutOff);
      await expect(host.use(model, named)).rejects.toMatchObject({
        code: 'RUNTIME_UNAVAILABLE',
        message: `expected reference ${model.base.sha256} to be fetched: no store`,
        cause: { code: 'ARTIFACT_STORE_UNAVAILABLE' },
      });
    }
    expect(await isReady()).toBe('expected reference c to be fetched: no store');
    fetches.clear();
    expect(await host.use(c, named)).toBe('C');
    expect(await isReady()).toBe(true);
  });

  it('in time is unavailable too, and its fetch is ended', async () => {
    const { fetch, told } = hanging();
    fetches.set('a', fetch);
    const host = createHost({ timeoutMs: 5 });
    await expect(host.use(a, named)).rejects.toMatchObject({
      code: 'RUNTIME_UNAVAILABLE',
      message: 'expected reference a to be loaded within 5 ms',
      cause: { code: 'RUNTIME_DEADLINE' },
    });
    expect(told).toHaveBeenCalledOnce();
  });

  it('is not waited for when nobody needs it any more', async () => {
    const { fetch, told } = hanging();
    fetches.set('a', fetch);
    const host = createHost();
    const pin = host.pin(a, never);
    const other = host.pin(a, never);
    await Promise.resolve();
    pin.release();
    expect(told).not.toHaveBeenCalled();
    other.release();
    expect(told).toHaveBeenCalledOnce();
    await expect(pin.loaded).rejects.toMatchObject({ name: 'AbortError' });
    fetches.clear();
    expect(await host.use(a, named)).toBe('A');
    expect(await isReady()).toBe(true);
  });
});

describe('a model that cannot be loaded', () => {
  it('fails as its files do, each time that it is used; what was loaded of it is freed', async () => {
    const fault = Object.assign(new Error('too large'), { code: 'MODEL_MEMORY' });
    let isTooLarge = true;
    wanted.add('a');
    const host = createHost({
      load: async ({ key }) => {
        memory.add(key);
        if (isTooLarge) throw fault;
        return 'A';
      },
    });
    await expect(host.use(a, named)).rejects.toBe(fault);
    await expect(host.use(a, named)).rejects.toBe(fault);
    expect(await isReady()).toBe('too large');
    await vi.waitFor(() => expect(inMemory()).toEqual([]), WAIT);
    isTooLarge = false;
    expect(await host.use(a, named)).toBe('A');
    expect(inMemory()).toEqual(['a']);
  });

  it('in time is freed when its load has ended, and not the one that came after it', async () => {
    const first = gate();
    const host = createHost({
      timeoutMs: 5,
      load: async ({ key }) => {
        memory.add(key);
        if (key === 'a#0') await first.opened;
        return key;
      },
    });
    await expect(host.use(a, named)).rejects.toMatchObject({ code: 'RUNTIME_UNAVAILABLE' });
    expect(await host.use(a, named)).toBe('a#1');
    expect([...memory]).toEqual(['a#0', 'a#1']);
    first.open();
    await vi.waitFor(() => expect([...memory]).toEqual(['a#1']), WAIT);
  });
});

it('a service that stops ends the loads under way, for its reason, and is not failed by threads that are gone', async () => {
  const { fetch, told } = hanging();
  fetches.set('a', fetch);
  const unloaded = vi.fn(() => Promise.reject(new Error('thread is closed')));
  const host = createHost({ unload: unloaded });
  const using = host.use(a, named);
  const pin = host.pin(a, never);
  await Promise.resolve();
  const reason = new Error('the service is stopping');
  service.abort(reason);
  await expect(using).rejects.toBe(reason);
  await expect(pin.loaded).rejects.toBe(reason);
  expect(told).toHaveBeenCalledOnce();
  await vi.waitFor(() => expect(unloaded).toHaveBeenCalled(), WAIT);
  expect(failed).toEqual([]);
});
