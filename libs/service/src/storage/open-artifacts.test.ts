import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openArtifacts } from './open-artifacts.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'open-artifacts-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

describe('openArtifacts', () => {
  it('opens a folder where nothing else is named', async () => {
    const store = await openArtifacts({ RLHF_DATA_DIR: folder });
    const ref = await store.putFiles({ a: 'a' });
    expect(await store.fetch(ref)).toBe(join(folder, 'artifacts/folders', ref.sha256));
  });

  it('opens the bucket that is named, with the credentials of the environment', async () => {
    const asked: { url: string; credential: string | undefined }[] = [];
    const server = createServer((request, response) => {
      const credential = /Credential=([^,]*)/.exec(request.headers.authorization ?? '')?.[1];
      asked.push({ url: decodeURIComponent(request.url!), credential });
      const hash = '0'.repeat(64);
      const object = `<Contents><Key>team/one/manifests/sha256/${hash}/x</Key><Size>2</Size></Contents>`;
      response.end(`<ListBucketResult>${object}</ListBucketResult>`);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      vi.stubEnv('AWS_ACCESS_KEY_ID', 'somebody');
      vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
      const store = await openArtifacts({
        RLHF_DATA_DIR: folder,
        RLHF_ARTIFACTS_URL: 's3://models/team/one/',
        S3_ENDPOINT: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
        AWS_REGION: 'eu-north-1',
      });
      expect(await store.has({ uri: '', sha256: '0'.repeat(64) })).toBe(true);
    } finally {
      server.close();
      server.closeAllConnections();
    }
    expect(asked).toEqual([
      {
        url: expect.stringMatching(/^\/models\/?\?.*prefix=team\/one\/manifests\/sha256\/0{64}\/$/),
        credential: expect.stringMatching(/^somebody\/\d{8}\/eu-north-1\/s3\/aws4_request$/),
      },
    ]);
    expect(await readdir(folder)).toEqual([]);
  });

  it.each([
    [{ RLHF_ARTIFACTS_URL: 'https://models/team' }, /RLHF_ARTIFACTS_URL: .*s3:\/\/bucket\/prefix/],
    [{ RLHF_ARTIFACTS_URL: 's3://Models' }, /RLHF_ARTIFACTS_URL/],
    [{ RLHF_ARTIFACTS_URL: 's3://models', S3_ENDPOINT: 'store:9000' }, /S3_ENDPOINT/],
    [{ RLHF_CACHE_BYTES: 'much' }, /RLHF_CACHE_BYTES/],
  ])('refuses %j', async (environment, message) => {
    await expect(openArtifacts(environment)).rejects.toMatchObject({
      code: 'RUNTIME_SETTINGS',
      message: expect.stringMatching(message),
    });
  });

  it('loads no AWS SDK for a folder', async () => {
    const program = `
      import { createRequire } from 'node:module';
      import { openArtifacts } from ${JSON.stringify(new URL('./open-artifacts.js', import.meta.url).href)};
      const loaded = () => Object.keys(createRequire(import.meta.url).cache).some((path) => /@aws-sdk/.test(path));
      const answers = [];
      for (const RLHF_ARTIFACTS_URL of [undefined, 's3://models']) {
        await openArtifacts({ RLHF_DATA_DIR: ${JSON.stringify(folder)}, RLHF_ARTIFACTS_URL });
        answers.push(loaded());
      }
      console.log(JSON.stringify(answers));`;
    const run = [process.execPath, ['--input-type=module', '-e', program]] as const;
    const { stdout, stderr } = await promisify(execFile)(...run, { env: { PATH: process.env.PATH } });
    expect({ answers: JSON.parse(stdout), stderr }).toEqual({ answers: [false, true], stderr: '' });
  });
});
