import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HOUR_MS } from '../conformance/harness.js';
import { parseManifest } from '../manifest.js';
import type { ArtifactRef, ArtifactStore } from '../port.js';
import { type FakeS3, startFakeS3 } from './fake-s3.test.support.js';
import { s3Artifacts } from './index.js';

const MINUTE_MS = 60_000;

let s3: FakeS3;
let folder: string;
let machines = 0;
beforeEach(async () => {
  s3 = await startFakeS3();
  folder = await mkdtemp(join(tmpdir(), 'artifacts-'));
});
afterEach(async () => {
  await s3.close();
  await rm(folder, { recursive: true, force: true });
});

function open(prefix = 'runs', who = 'somebody'): ArtifactStore {
  const { bucket, endpoint } = s3;
  const credentials = s3.credentials(who);
  const cacheDirectory = join(folder, `cache-${machines++}`);
  return s3Artifacts({ bucket, prefix, endpoint, credentials, cacheDirectory });
}

const stored = (kind: 'blobs' | 'manifests') =>
  [...s3.objects.keys()].filter((key) => key.startsWith(`runs/${kind}/`));

const hashIn = (key: string) => key.split('/').at(-2)!;

/** Lets requests through in the order of `picks`, each when every party has one that waits. */
function takeTurns(parties: readonly string[], picks: Iterator<number>) {
  const present = new Set(parties);
  const waiting: { who: string; go: () => void }[] = [];
  const next = () => {
    while (present.size > 0 && [...present].every((who) => waiting.some((one) => one.who === who))) {
      const [chosen] = waiting.splice(picks.next().value! % waiting.length, 1);
      chosen!.go();
    }
  };
  return {
    come: (who: string) =>
      new Promise<void>((go) => {
        waiting.push({ who, go });
        next();
      }),
    leave: (who: string) => {
      present.delete(who);
      next();
    },
  };
}

describe('a collection over S3', () => {
  it('takes nothing from puts that go on meanwhile, in whatever order requests arrive', async () => {
    const files = fc.dictionary(fc.constantFrom('a', 'b'), fc.constantFrom('1', '2'), { minKeys: 1 });
    const before = fc.array(
      fc.record({ files, live: fc.boolean(), agedMinutes: fc.constantFrom(0, 20, 45, 70) }),
      { minLength: 1, maxLength: 3 },
    );
    const meanwhile = fc.array(files, { minLength: 1, maxLength: 3 });
    const putters = ['putter 1', 'putter 2', 'putter 3'];
    const collectors = ['collector 1', 'collector 2'];
    const stores = new Map([...putters, ...collectors].map((who) => [who, open('runs', who)]));
    const picks = fc.infiniteStream(fc.nat(1000));
    await fc.assert(
      fc.asyncProperty(before, meanwhile, picks, async (before, meanwhile, picks) => {
        s3.objects.clear();
        const live: ArtifactRef[] = [];
        for (const artifact of before) {
          const ref = await stores.get('putter 1')!.putFiles(artifact.files);
          if (artifact.live) live.push(ref);
          s3.age(artifact.agedMinutes * MINUTE_MS);
        }

        // A put gives up after half an hour.
        let minutes = 28;
        const turns = takeTurns([...putters.slice(0, meanwhile.length), ...collectors], picks);
        s3.faults = async ({ who }) => {
          await turns.come(who);
          if (minutes > 0) s3.age(4 * MINUTE_MS);
          minutes -= 4;
          return undefined;
        };
        const puts = meanwhile.map((files, i) =>
          stores
            .get(putters[i]!)!
            .putFiles(files)
            .finally(() => turns.leave(putters[i]!)),
        );
        const collections = collectors.map((who) =>
          stores
            .get(who)!
            .collect(live)
            .finally(() => turns.leave(who)),
        );
        const refs = await Promise.all(puts);
        await Promise.all(collections);
        s3.faults = () => undefined;

        const found = new Set(stored('manifests').map(hashIn));
        for (const { sha256 } of [...live, ...refs]) expect(found).toContain(sha256);
        const blobs = new Set(stored('blobs').map(hashIn));
        for (const key of stored('manifests')) {
          const manifest = parseManifest(s3.objects.get(key)!.bytes, hashIn(key));
          for (const { sha256 } of manifest.values()) expect(blobs).toContain(sha256);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('leaves one of several generations, the newest', async () => {
    const store = open();
    const ref = await store.putFiles({ a: 'content' });
    for (let times = 0; times < 3; times++) {
      s3.age(2 * HOUR_MS);
      await open().putFiles({ a: 'content' });
    }
    expect(stored('blobs')).toHaveLength(4);
    expect(await store.collect([ref])).toEqual({ artifacts: 0, blobs: 3, bytes: 21 });
    expect(stored('blobs')).toHaveLength(1);
    expect(stored('manifests')).toHaveLength(1);
    await expect(open().fetch(ref)).resolves.toBeDefined();
  });

  it('keeps files that puts may rely on, though asked for a shorter grace period', async () => {
    await open().putFiles({ a: 'content' });
    s3.age(10 * MINUTE_MS);
    expect(await open().collect([], { graceMs: MINUTE_MS })).toMatchObject({ artifacts: 1, blobs: 0 });
    const ref = await open().putFiles({ b: 'content' });
    expect(stored('blobs')).toHaveLength(1);
    await open().fetch(ref);
  });

  it('goes by the clock of the server', async () => {
    for (const clockAhead of [-2 * HOUR_MS, 2 * HOUR_MS]) {
      s3.clockAhead = clockAhead;
      const ref = await open().putFiles({ a: `${clockAhead}` });
      expect(await open().collect([])).toMatchObject({ artifacts: 0 });
      s3.age(2 * HOUR_MS);
      expect(await open().collect([])).toMatchObject({ artifacts: 1, blobs: 1 });
      expect(await open().has(ref)).toBe(false);
    }
  });

  it('leaves alone what belongs to others', async () => {
    const foreign = { bytes: Buffer.from('foreign'), modified: 0 };
    const keys = ['blobs/sha256/readme.txt', 'runs/blobs/sha256/readme.txt', 'runs/readme.txt'];
    for (const key of keys) s3.objects.set(key, foreign);
    const other = await open('other').putFiles({ a: 'a' });
    const similar = await open('runs-2').putFiles({ a: 'a' });
    s3.age(2 * HOUR_MS);
    await open().collect([]);
    expect([...s3.objects.keys()]).toEqual(expect.arrayContaining(keys));
    await open('other').fetch(other);
    await open('runs-2').fetch(similar);
  });

  it('sees what is on later pages of a listing', async () => {
    const store = open();
    for (let i = 0; i < 12; i++) await store.putFiles({ same: 'same', mine: `${i}` });
    expect(await store.collect([], { graceMs: 0 })).toMatchObject({ artifacts: 12, blobs: 13 });
    expect(s3.objects.size).toBe(0);
  });
});
