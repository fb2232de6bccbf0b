import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { filesystemArtifacts } from '../filesystem/index.js';
import type { ArtifactStore } from '../port.js';
import { type FakeS3, startFakeS3 } from './fake-s3.test.support.js';
import { type S3Options, s3Artifacts } from './index.js';

const MIB = 1 << 20;
const MINUTE_MS = 60_000;

let s3: FakeS3;
let folder: string;
let cache: string;
beforeEach(async () => {
  s3 = await startFakeS3();
  folder = await mkdtemp(join(tmpdir(), 'artifacts-'));
  cache = join(folder, 'cache');
});
afterEach(async () => {
  await s3.close();
  await rm(folder, { recursive: true, force: true });
});

function open(options: Partial<S3Options> = {}): ArtifactStore {
  const { bucket, endpoint } = s3;
  return s3Artifacts({ bucket, endpoint, credentials: s3.credentials(), cacheDirectory: cache, ...options });
}

const gets = () => s3.requests.filter(({ operation }) => operation === 'get').length;

/** Makes everything in the cache look unused for `ms` milliseconds more. */
async function leaveUnused(ms: number): Promise<void> {
  for (const name of await readdir(cache, { recursive: true })) {
    const path = join(cache, name);
    const then = new Date((await stat(path)).mtimeMs - ms);
    await utimes(path, then, then);
  }
}

describe('the cache of a machine', () => {
  it('spares its processes the second fetch, and the first of what they put', async () => {
    const elsewhere = open({ cacheDirectory: join(folder, 'elsewhere') });
    const theirs = await elsewhere.putFiles({ a: 'a', shared: 'shared' });
    const folders = await Promise.all([open().fetch(theirs), open().fetch(theirs)]);
    expect(new Set(folders).size).toBe(1);

    s3.faults = () => ({ status: 403, code: 'AccessDenied' });
    await expect(open().fetch(theirs)).resolves.toBe(folders[0]);
    s3.faults = () => undefined;

    const before = gets();
    const ours = await open().putFiles({ b: 'b', shared: 'shared' });
    await open().fetch(ours);
    expect(gets()).toBe(before);
  });

  it('is repaired where its files were damaged', async () => {
    const ref = await open().putFiles({ weights: 'weights' });
    const fetched = await open().fetch(ref);
    await chmod(join(fetched, 'weights'), 0o644);
    await writeFile(join(fetched, 'weights'), 'damaged');
    await open().fetch(ref);
    expect(await readFile(join(fetched, 'weights'), 'utf8')).toBe('weights');
  });

  it('lets go of what was not fetched for longest, when it is too large', async () => {
    const [a, b, c] = await Promise.all(
      ['a', 'b', 'c'].map((name) =>
        open({ cacheDirectory: join(folder, 'elsewhere') }).putFiles({ [name]: randomBytes(MIB) }),
      ),
    );
    const store = open({ cacheBytes: 2.5 * MIB, graceMs: 2 * MINUTE_MS, cacheKeepMs: MINUTE_MS });
    const kept = () => readdir(join(cache, 'folders'));
    await store.fetch(a!);
    await leaveUnused(MINUTE_MS);
    await store.fetch(b!);
    await leaveUnused(MINUTE_MS);
    await store.fetch(a!);
    await store.fetch(c!);
    expect((await kept()).sort()).toEqual([a!.sha256, c!.sha256].sort());

    const before = gets();
    await store.fetch(a!);
    expect(gets()).toBe(before);
    await expect(store.fetch(b!)).resolves.toContain(b!.sha256);
    expect(await readFile(join(await store.fetch(b!), 'b'))).toHaveLength(MIB);
  });

  it('keeps what was fetched lately, whatever its size', async () => {
    const store = open({ cacheBytes: 0 });
    const refs = [await store.putFiles({ a: 'a' }), await store.putFiles({ b: 'b' })];
    const folders = await Promise.all(refs.map((ref) => store.fetch(ref)));
    await open({ cacheBytes: 0 }).putFiles({ c: 'c' });
    for (const path of folders) expect(await readdir(path)).toHaveLength(1);
  });

  it('loses what a crash left, when that is old', async () => {
    await mkdir(join(cache, 'temporary'), { recursive: true });
    await writeFile(join(cache, 'temporary/abandoned'), 'half');
    await open({ cacheBytes: MIB }).putFiles({ a: 'a' });
    expect(await readdir(join(cache, 'temporary'))).toEqual(['abandoned']);
    await leaveUnused(61 * MINUTE_MS);
    await open({ cacheBytes: MIB }).putFiles({ a: 'a' });
    expect(await readdir(join(cache, 'temporary'))).toEqual([]);
  });

  it('is collected with the bucket', async () => {
    const store = open();
    const live = await store.putFiles({ a: 'a' });
    const dead = await store.putFiles({ b: 'b' });
    await store.fetch(live);
    await store.fetch(dead);
    await store.collect([live], { graceMs: 0 });
    expect(await readdir(join(cache, 'folders'))).toEqual([live.sha256]);
    await expect(store.fetch(dead)).rejects.toMatchObject({ code: 'ARTIFACT_NOT_FOUND' });
  });
});

it('means the same artifact as a filesystem store by a reference', async () => {
  const local = filesystemArtifacts({ directory: join(folder, 'local') });
  const ref = await local.putFiles({ 'config.json': '{}', 'nested/weights': randomBytes(1000) });
  expect(await open().putDirectory(await local.fetch(ref))).toEqual(ref);
  const other = filesystemArtifacts({ directory: join(folder, 'other') });
  const fetched = await open({ cacheDirectory: join(folder, 'elsewhere') }).fetch(ref);
  expect(await other.putDirectory(fetched)).toEqual(ref);
});
