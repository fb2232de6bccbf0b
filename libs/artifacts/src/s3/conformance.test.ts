import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { artifactConformance } from '../conformance/index.js';
import { startFakeS3 } from './fake-s3.test.support.js';
import { s3Artifacts } from './index.js';

artifactConformance('S3 (of a server in this process)', {
  async create() {
    const s3 = await startFakeS3();
    const caches = await mkdtemp(join(tmpdir(), 'artifacts-caches-'));
    const { endpoint, bucket, objects } = s3;
    const credentials = s3.credentials();
    let machines = 0;
    const topOf = (kind: 'blob' | 'manifest') => `runs/one/${kind}s/sha256/`;
    return {
      open: () =>
        s3Artifacts({
          bucket,
          prefix: 'runs/one',
          endpoint,
          credentials,
          cacheDirectory: join(caches, `${machines++}`),
        }),
      list: async (kind) => {
        const keys = [...objects.keys()].filter((key) => key.startsWith(topOf(kind)));
        return [...new Set(keys.map((key) => key.slice(topOf(kind).length).split('/')[0]!))];
      },
      tamper: async (kind, sha256, content) => {
        const top = `${topOf(kind)}${sha256}/`;
        const keys = [...objects.keys()].filter((key) => key.startsWith(top));
        if (content === undefined) for (const key of keys) objects.delete(key);
        else if (keys.length > 0) for (const key of keys) objects.get(key)!.bytes = Buffer.from(content);
        else objects.set(`${top}tampered`, { bytes: Buffer.from(content), modified: Date.now() });
      },
      age: async (ms) => s3.age(ms),
      cleanup: async () => {
        await s3.close();
        await rm(caches, { recursive: true, force: true });
      },
    };
  },
});
