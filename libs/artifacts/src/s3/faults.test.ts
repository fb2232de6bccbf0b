/** What a network and a server may do, and what must come of it. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ArtifactStore } from '../port.js';
import { type FakeRequest, type FakeS3, type Fault, startFakeS3 } from './fake-s3.test.support.js';
import { type S3Options, s3Artifacts } from './index.js';

const MIB = 1 << 20;

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

const optionsOf = (s3: FakeS3) => ({
  bucket: s3.bucket,
  endpoint: s3.endpoint,
  credentials: s3.credentials(),
  partBytes: 5 * MIB,
});

const open = (options: Partial<S3Options> = {}): ArtifactStore =>
  s3Artifacts({ ...optionsOf(s3), cacheDirectory: join(folder, `cache-${machines++}`), ...options });

/** The fault, for the first `count` requests that fit. */
function first(count: number, fault: Fault, fits: (request: FakeRequest) => boolean): FakeS3['faults'] {
  let left = count;
  return (request) => (fits(request) && left-- > 0 ? fault : undefined);
}

const came = (operation: FakeRequest['operation']) =>
  s3.requests.filter((request) => request.operation === operation).length;

const stored = (kind: 'blobs' | 'manifests') =>
  [...s3.objects.keys()].filter((key) => key.startsWith(`${kind}/`));

/** One file in three parts, one in a single request. */
const content = { large: randomBytes(11 * MIB), small: randomBytes(1000) };

async function expectWhole(path: string): Promise<void> {
  expect(content.large.equals(await readFile(join(path, 'large')))).toBe(true);
  expect(content.small.equals(await readFile(join(path, 'small')))).toBe(true);
}

describe('requests that fail', () => {
  it.each<[string, Fault, times: number]>([
    ['throttling', { status: 503, code: 'SlowDown' }, 1],
    ['errors of the server', { status: 500, code: 'InternalError' }, 1],
    ['broken connections', 'break', 1],
    ['lost answers', 'break after', 2],
    ['silence', 'hang', 1],
  ])('are repeated after %s', async (_, fault, times) => {
    const failed = new Map<string, number>();
    s3.faults = ({ operation }) => {
      const before = failed.get(operation) ?? 0;
      failed.set(operation, before + 1);
      return before < times ? fault : undefined;
    };
    const ref = await open({ idleTimeoutMs: 300 }).putFiles(content);
    await expectWhole(await open({ idleTimeoutMs: 300 }).fetch(ref));
    await open({ idleTimeoutMs: 300 }).collect([ref]);
    await open({ idleTimeoutMs: 300 }).remove(ref);
    expect([...failed.keys()].sort()).toEqual(
      [
        'list',
        'get',
        'put',
        'delete',
        'begin upload',
        'upload part',
        'complete upload',
        'list uploads',
      ].sort(),
    );
    expect(stored('manifests')).toEqual([]);
    expect(stored('blobs')).toHaveLength(2);
  });

  it('go on where a body broke', async () => {
    const ref = await open().putFiles(content);
    s3.faults = first(3, { breakAfterBytes: 3 * MIB }, ({ operation, key }) => {
      return operation === 'get' && s3.objects.get(key)!.bytes.length > MIB;
    });
    await expectWhole(await open().fetch(ref));
    expect(came('get')).toBe(1 + 1 + 4);
  });

  it('go on where a body stopped', async () => {
    const ref = await open().putFiles(content);
    s3.faults = first(1, { hangAfterBytes: 3 * MIB }, ({ operation, key }) => {
      return operation === 'get' && s3.objects.get(key)!.bytes.length > MIB;
    });
    await expectWhole(await open({ idleTimeoutMs: 300 }).fetch(ref));
  });

  it('end when the store does not recover', async () => {
    const ref = await open().putFiles(content);
    s3.faults = () => ({ status: 503, code: 'SlowDown' });
    const store = open({ maxAttempts: 2 });
    const unavailable = { code: 'ARTIFACT_STORE_UNAVAILABLE', message: expect.stringContaining(s3.endpoint) };
    await expect(store.fetch(ref)).rejects.toMatchObject(unavailable);
    await expect(store.putFiles(content)).rejects.toMatchObject(unavailable);
    await expect(store.has(ref)).rejects.toMatchObject(unavailable);
    await expect(store.collect([ref])).rejects.toMatchObject(unavailable);
    s3.faults = ({ operation }) => (operation === 'get' ? { breakAfterBytes: 0 } : undefined);
    await expect(store.fetch(ref)).rejects.toMatchObject({ code: 'ARTIFACT_STORE_UNAVAILABLE' });
    s3.faults = () => undefined;
    await expectWhole(await store.fetch(ref));
  });

  it('end when the time is up', async () => {
    const ref = await open().putFiles(content);
    s3.faults = ({ operation }) => (operation === 'get' ? 'hang' : undefined);
    await expect(open().fetch(ref, { timeoutMs: 300 })).rejects.toMatchObject({
      code: 'ARTIFACT_TIMEOUT',
      message: expect.stringContaining(`artifact ${ref.sha256} to be fetched`),
    });
  });

  it('end a put after half of the grace period', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const hanging = new Promise<void>((resolve) => {
        s3.faults = ({ operation }) => {
          if (operation !== 'put') return undefined;
          resolve();
          return 'hang';
        };
      });
      const putting = open({ graceMs: 600_000 }).putFiles({ a: 'a' });
      const failing = expect(putting).rejects.toMatchObject({
        code: 'ARTIFACT_TIMEOUT',
        message: expect.stringContaining(`1 files to be put into s3://${s3.bucket}/ within 300000 ms`),
      });
      await hanging;
      await vi.advanceTimersByTimeAsync(300_000);
      await failing;
    } finally {
      vi.useRealTimers();
    }
    expect(stored('manifests')).toEqual([]);
  });
});

describe('what is received', () => {
  it('is not handed out when it is longer than listed, and leaves nothing behind', async () => {
    const ref = await open().putFiles({ a: 'content' });
    const [key] = stored('blobs');
    s3.faults = (request) => {
      if (request.operation === 'get' && request.key === key)
        s3.objects.set(key, { bytes: Buffer.alloc(MIB), modified: 0 });
      return undefined;
    };
    const cacheDirectory = join(folder, 'victim');
    await expect(open({ cacheDirectory }).fetch(ref)).rejects.toMatchObject({
      code: 'ARTIFACT_CORRUPT',
      message: expect.stringContaining(`expected 7 bytes of ${key} from s3://${s3.bucket}/, got more`),
    });
    expect(await readdir(join(cacheDirectory, 'temporary'))).toEqual([]);
    expect(await readdir(cacheDirectory)).not.toContain('blobs');
  });

  it('is taken from an older generation when the newest is damaged', async () => {
    const ref = await open().putFiles({ a: 'content' });
    s3.age(3_600_000);
    await open().putFiles({ a: 'content' });
    const newest = stored('blobs').sort((a, b) => s3.objects.get(b)!.modified - s3.objects.get(a)!.modified);
    expect(newest).toHaveLength(2);
    s3.objects.get(newest[0]!)!.bytes = Buffer.from('damaged');
    expect(await readFile(join(await open().fetch(ref), 'a'), 'utf8')).toBe('content');
  });

  it('is looked for again when a collection removed it after the listing', async () => {
    const ref = await open().putFiles({ a: 'content' });
    const [old] = stored('blobs');
    s3.faults = async ({ operation, key }) => {
      if (operation !== 'get' || key !== old) return undefined;
      s3.faults = () => undefined;
      s3.age(7_200_000);
      await open().putFiles({ a: 'content' });
      await open().collect([ref]);
      expect(s3.objects.has(old!)).toBe(false);
      return undefined;
    };
    expect(await readFile(join(await open().fetch(ref), 'a'), 'utf8')).toBe('content');
  });
});

describe('what is interrupted', () => {
  it('leaves no parts of a file when a part cannot be sent', async () => {
    s3.faults = ({ operation }) =>
      operation === 'upload part' && came('upload part') > 1
        ? { status: 500, code: 'InternalError' }
        : undefined;
    await expect(open({ maxAttempts: 2 }).putFiles(content)).rejects.toMatchObject({
      code: 'ARTIFACT_STORE_UNAVAILABLE',
    });
    expect(s3.uploads.size).toBe(0);
    expect(stored('manifests')).toEqual([]);

    s3.faults = () => undefined;
    await expectWhole(await open().fetch(await open().putFiles(content)));
  });

  it('shows nothing when the writer is killed in the middle of a file; the next put succeeds', async () => {
    const source = join(folder, 'model');
    await mkdir(source);
    await writeFile(join(source, 'large'), content.large);
    await writeFile(join(source, 'small'), content.small);
    const caches = [join(folder, 'shared'), join(folder, 'other')];
    const child = fileURLToPath(new URL('./put.test.child.js', import.meta.url));
    const writer = spawn(process.execPath, [
      child,
      JSON.stringify({ options: optionsOf(s3), source, caches }),
    ]);
    try {
      const exit = once(writer, 'exit');
      s3.faults = ({ operation }) => {
        if (operation !== 'upload part' || came('upload part') < 2) return undefined;
        writer.kill('SIGKILL');
        return 'hang';
      };
      expect(await exit).toEqual([null, 'SIGKILL']);
    } finally {
      writer.kill('SIGKILL');
    }
    expect(stored('manifests')).toEqual([]);
    expect(s3.uploads.size).toBe(1);

    s3.faults = () => undefined;
    const ref = await open({ cacheDirectory: caches[0]! }).putDirectory(source);
    await expectWhole(await open().fetch(ref));
    await open().collect([ref]);
    expect(s3.uploads.size).toBe(1);
    s3.age(7_200_000);
    await open().collect([ref]);
    expect(s3.uploads.size).toBe(0);
    await expectWhole(await open().fetch(ref));
  });
});

describe('a store that cannot be used', () => {
  it('says what to do', async () => {
    const ref = { uri: '', sha256: '0'.repeat(64) };
    const refused = (message: RegExp) => ({
      code: 'ARTIFACT_STORE_REFUSED',
      message: expect.stringMatching(message),
    });
    await expect(open({ bucket: 'nowhere' }).has(ref)).rejects.toMatchObject(
      refused(/s3:\/\/nowhere\/.*NoSuchBucket.*Create the bucket/),
    );
    await expect(open({ bucket: 'nowhere' }).putFiles({ a: 'a' })).rejects.toMatchObject(
      refused(/NoSuchBucket/),
    );
    const credentials = { accessKeyId: 'other', secretAccessKey: 'secret' };
    await expect(open({ credentials }).has(ref)).rejects.toMatchObject(refused(/Check the credentials/));
    const nothing = async () => {
      throw Object.assign(new Error('none'), { name: 'CredentialsProviderError' });
    };
    await expect(open({ credentials: nothing }).has(ref)).rejects.toMatchObject(refused(/AWS_ACCESS_KEY_ID/));
    await expect(open({ endpoint: 'http://127.0.0.1:1', maxAttempts: 2 }).has(ref)).rejects.toMatchObject({
      code: 'ARTIFACT_STORE_UNAVAILABLE',
      message: expect.stringMatching(/127\.0\.0\.1:1.*ECONNREFUSED.*2 attempts.*Check the endpoint/),
    });
  });

  it.each<Partial<S3Options>>([
    { bucket: 'ab' },
    { bucket: 'Upper' },
    { bucket: 'a/b' },
    { prefix: '/runs' },
    { prefix: 'a//b' },
    { endpoint: 'localhost:9000' },
    { graceMs: 1000 },
    { cacheBytes: Number.NaN },
    { cacheKeepMs: 0 },
    { partBytes: MIB },
    { maxAttempts: 0 },
  ])('is refused at the door: %j', (options) => {
    expect(() => open(options)).toThrow(expect.objectContaining({ code: 'ARTIFACT_BAD_OPTION' }));
  });
});
