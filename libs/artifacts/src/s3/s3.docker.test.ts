/** Against a real server. */
import { spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { GenericContainer, type StartedTestContainer, Wait } from 'testcontainers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import { nowhere } from '../conformance/harness.js';
import { artifactConformance, type StoreUnderTest } from '../conformance/index.js';
import { type Bucket, openBucket } from './bucket.js';
import { allGenerations, generationsOf } from './generations.js';
import { type S3Options, s3Artifacts } from './index.js';
import { settle } from './options.js';

declare module 'vitest' {
  interface ProvidedContext {
    docker: boolean;
  }
}

const IMAGE = 'versity/versitygw:v1.8.0';
const BUCKET = 'tests';
const STARTUP_TIMEOUT_MS = 60_000;
const TIMEOUT_MS = 60_000;
const MIB = 1 << 20;

describe.skipIf(!inject('docker'))('S3', () => {
  let server: StartedTestContainer;
  let folder: string;

  beforeAll(async () => {
    server = await new GenericContainer(IMAGE)
      .withEnvironment({ ROOT_ACCESS_KEY: 'somebody', ROOT_SECRET_KEY: 'secret-of-somebody' })
      // A folder of the store is a bucket.
      .withEntrypoint([
        'sh',
        '-c',
        `mkdir -p /data/${BUCKET} && exec versitygw --quiet --port :7070 posix /data`,
      ])
      .withExposedPorts(7070)
      .withWaitStrategy(Wait.forListeningPorts())
      .withStartupTimeout(STARTUP_TIMEOUT_MS)
      .start();
  }, STARTUP_TIMEOUT_MS + 10_000);
  afterAll(() => server?.stop());

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artifacts-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const optionsOf = (prefix: string) => ({
    bucket: BUCKET,
    prefix,
    endpoint: `http://${server.getHost()}:${server.getMappedPort(7070)}`,
    credentials: { accessKeyId: 'somebody', secretAccessKey: 'secret-of-somebody' },
  });
  const signal = () => AbortSignal.timeout(TIMEOUT_MS);

  async function unfinished(bucket: Bucket): Promise<string[]> {
    const keys: string[] = [];
    for await (const { key } of bucket.unfinishedUploads(signal())) keys.push(key);
    return keys;
  }

  artifactConformance('S3 (versitygw)', {
    timeoutMs: 2 * TIMEOUT_MS,
    async create(): Promise<StoreUnderTest> {
      const prefix = randomUUID();
      const caches = await mkdtemp(join(tmpdir(), 'artifacts-caches-'));
      const bucket = openBucket(settle({ ...optionsOf(prefix), cacheDirectory: caches }));
      let machines = 0;
      const store = (options: Partial<S3Options> = {}) =>
        s3Artifacts({ ...optionsOf(prefix), cacheDirectory: join(caches, `${machines++}`), ...options });
      return {
        open: store,
        list: async (kind) => [...(await allGenerations(bucket, `${kind}s`, signal())).keys()],
        tamper: async (kind, sha256, content) => {
          const found = await generationsOf(bucket, `${kind}s`, sha256, signal());
          const keys = found.map(({ key }) => key);
          if (content === undefined) return bucket.remove(keys, signal());
          for (const key of keys.length > 0 ? keys : [`${kind}s/sha256/${sha256}/tampered`])
            await bucket.write(key, Buffer.from(content), signal());
        },
        age: async (ms) => {
          const shift = `touch -d @$(($(stat -c %Y "$file") - ${Math.round(ms / 1000)})) "$file"`;
          const each = `for file; do ${shift} || exit 1; done`;
          const { exitCode, output } = await server.exec([
            ...['find', `/data/${BUCKET}/${prefix}`, '-type', 'f'],
            ...['-exec', 'sh', '-c', each, 'sh', '{}', '+'],
          ]);
          // Before the first put there is no folder.
          if (exitCode !== 0 && !output.includes('No such file')) throw new Error(output);
        },
        cleanup: () => rm(caches, { recursive: true, force: true }),
      };
    },
  });

  describe('a large file', () => {
    const child = fileURLToPath(new URL('./put.test.child.js', import.meta.url));
    const run = (prefix: string, source: string) => {
      const task = { options: optionsOf(prefix), source, caches: [join(folder, 'one'), join(folder, 'two')] };
      return spawn(process.execPath, [child, JSON.stringify(task)], { stdio: ['ignore', 'pipe', 'inherit'] });
    };

    it('comes and goes in parts, never whole in memory', { timeout: TIMEOUT_MS }, async () => {
      const prefix = randomUUID();
      const source = join(folder, 'model');
      await mkdir(source);
      const size = 300 * MIB;
      await writeFile(join(source, 'zeros'), '');
      await truncate(join(source, 'zeros'), size);
      const output = await text(run(prefix, source).stdout!);
      const { folder: fetched, grown } = JSON.parse(output) as { folder: string; grown: number };
      expect((await stat(join(fetched, 'zeros'))).size).toBe(size);
      expect(grown).toBeLessThan(size / 2);
      const bucket = openBucket(settle({ ...optionsOf(prefix), cacheDirectory: folder }));
      expect(await unfinished(bucket)).toEqual([]);
    });

    it('shows nothing when its writer is killed; the next put succeeds', {
      timeout: TIMEOUT_MS,
    }, async () => {
      const prefix = randomUUID();
      const source = join(folder, 'model');
      await mkdir(source);
      const weights = randomBytes(50_000_000);
      await writeFile(join(source, 'model.safetensors'), weights);
      const options = { ...optionsOf(prefix), cacheDirectory: join(folder, 'three') };
      const bucket = openBucket(settle(options));
      const writer = run(prefix, source);
      try {
        const exit = once(writer, 'exit');
        await vi.waitUntil(async () => (await unfinished(bucket)).length > 0, {
          timeout: TIMEOUT_MS,
          interval: 1,
        });
        writer.kill('SIGKILL');
        expect(await exit).toEqual([null, 'SIGKILL']);
      } finally {
        writer.kill('SIGKILL');
      }
      expect((await allGenerations(bucket, 'manifests', signal())).size).toBe(0);

      const store = s3Artifacts(options);
      const ref = await store.putDirectory(source);
      expect(await unfinished(bucket)).toHaveLength(1);
      await store.collect([ref], { graceMs: 0 });
      expect(await unfinished(bucket)).toEqual([]);
      const fetched = await s3Artifacts({ ...options, cacheDirectory: join(folder, 'four') }).fetch(ref);
      expect(weights.equals(await readFile(join(fetched, 'model.safetensors')))).toBe(true);
    });
  });

  it('that cannot be used says what to do', async () => {
    const open = (options: Partial<S3Options>) =>
      s3Artifacts({ ...optionsOf(''), cacheDirectory: folder, ...options });
    const refused = (message: RegExp) => ({
      code: 'ARTIFACT_STORE_REFUSED',
      message: expect.stringMatching(message),
    });
    await expect(open({ bucket: 'missing' }).has(nowhere)).rejects.toMatchObject(
      refused(/Create the bucket/),
    );
    await expect(open({ region: 'eu-west-1' }).has(nowhere)).rejects.toMatchObject(refused(/Set AWS_REGION/));
    for (const credentials of [
      { accessKeyId: 'stranger', secretAccessKey: 'secret-of-somebody' },
      { accessKeyId: 'somebody', secretAccessKey: 'wrong' },
    ])
      await expect(open({ credentials }).has(nowhere)).rejects.toMatchObject(
        refused(/Check the credentials/),
      );
  });
});
