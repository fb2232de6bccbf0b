import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { ConfigOf } from '@rlhf-streams/runs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { expectProblem, startGateway, type TestGateway } from '../gateway.test.support.js';
import { asOwner } from './admitted.js';

type PpoConfig = ConfigOf<'ppo'>;

let folder: string;
let gateway: TestGateway;
beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'admitted-')));
  for (const name of ['data', 'models', 'secret', 'data-2']) await mkdir(join(folder, name));
  await writeFile(join(folder, 'data', 'rows.jsonl'), '{"text":"a"}\n');
  await writeFile(join(folder, 'secret', 'rows.jsonl'), '{"text":"a"}\n');
  await symlink(join(folder, 'secret'), join(folder, 'data', 'out'));
  await symlink(join(folder, 'secret', 'later'), join(folder, 'data', 'dangling'));
  await symlink(join(folder, 'data', 'rows.jsonl'), join(folder, 'data', 'in.jsonl'));
});
afterEach(async () => {
  await gateway.close();
  await rm(folder, { recursive: true });
});

const start = async (roots?: string) => {
  gateway = await startGateway({ environment: roots === undefined ? {} : { RLHF_HTTP_ROOTS: roots } });
};
const ppo = (sources: object = {}): object => ({
  run: `r${Math.random().toString(36).slice(2)}`,
  method: 'ppo',
  steps: 1,
  model: 'run:sft',
  prompts: 'bundled',
  scorers: ['gold:bundled'],
  ...sources,
});
const post = (sources: object) => gateway.post('/v1/runs', ppo(sources));
const allowed = async (sources: object): Promise<PpoConfig> => {
  const response = await post(sources);
  expect(response.status).toBe(201);
  return ((await response.json()) as { config: PpoConfig }).config;
};
const refused = async (sources: object) =>
  (await expectProblem(await post(sources), 403, 'PATH_NOT_ALLOWED')).errors!.map(({ path }) => path);

describe('a configuration over HTTP', () => {
  it('may name no path where no roots are set, whether something is there or not', async () => {
    await start();
    const artifact = `artifact:${'a'.repeat(64)}`;
    await allowed({});
    await allowed({
      model: { layers: 1 },
      reference: artifact,
      value: 'run:v',
      scorers: ['run:a', artifact],
    });
    for (const path of ['/etc/passwd', '/nowhere', 'rows.jsonl', '', ' ', 'artifact:../x'].filter(
      (p) => p !== '',
    )) {
      expect(await refused({ model: path })).toEqual(['model']);
      expect(await refused({ prompts: path })).toEqual(['prompts']);
      expect(await refused({ scorers: ['run:a', `gold:${path}`] })).toEqual(['scorers[1]']);
    }
    expect(await refused({ model: 'bundled' })).toEqual(['model']);
    expect(await refused({ scorers: ['bundled', 'gold:gold:bundled'] })).toEqual([
      'scorers[0]',
      'scorers[1]',
    ]);
    expect(await refused({ reference: '/a', value: '/b', prompts: '/c' })).toEqual([
      'prompts',
      'reference',
      'value',
    ]);
    expect(
      await refused({ model: `adapter:${artifact} on /b`, reference: `adapter:/a on ${artifact}` }),
    ).toEqual(expect.arrayContaining(['model', 'reference']));
    await allowed({ model: `adapter:${artifact} on ${artifact}` });
    const there = await (await post({ model: join(folder, 'secret') })).text();
    const nowhere = await (await post({ model: join(folder, 'nobody') })).text();
    expect(there.replaceAll('secret', 'nobody')).toBe(nowhere);
    expect(there).toContain('RLHF_HTTP_ROOTS');
  });

  it('may name what lies within the roots, there or not yet', async () => {
    const [data, models] = [join(folder, 'data'), join(folder, 'models')];
    await start([data, models].join(delimiter));
    for (const path of ['rows.jsonl', 'in.jsonl', 'later/rows.jsonl'].map((name) => join(data, name)))
      expect((await allowed({ prompts: path, scorers: [`gold:${path}`] })).scorers).toEqual([`gold:${path}`]);
    expect(await allowed({ model: models, reference: join(models, 'a') })).toMatchObject({ model: models });
    await refused({ model: `adapter:${models} on ${folder}` });
    expect(await allowed({ model: `adapter:lora on ${models}` })).toMatchObject({
      model: `adapter:${join(data, 'lora')} on ${models}`,
    });
    expect(await allowed({ prompts: 'rows.jsonl', scorers: ['gold:./x/../rows.jsonl'] })).toMatchObject({
      prompts: join(data, 'rows.jsonl'),
      scorers: [`gold:${join(data, 'rows.jsonl')}`],
    });
  });

  it('may name lists and patterns of files within the roots', async () => {
    const data = join(folder, 'data');
    await start(data);
    const prompts = ['*.jsonl', 'later/*.parquet', 'rows.jsonl'];
    expect(await allowed({ prompts })).toMatchObject({ prompts: prompts.map((name) => join(data, name)) });
    for (const pattern of [
      '{..,x}/secret/*.jsonl',
      '../secret/*.jsonl',
      'ou?/*.jsonl',
      '*/rows.jsonl',
      'out/*.jsonl',
    ])
      expect(await refused({ prompts: ['rows.jsonl', pattern] })).toEqual(['prompts[1]']);
  });

  it.each([
    '../secret/rows.jsonl',
    'out/rows.jsonl',
    'out',
    'out/nowhere',
    'out/../rows.jsonl/../../secret',
    'dangling',
    'dangling/rows.jsonl',
    '../data-2/rows.jsonl',
    '/',
    '..',
    '/proc/self/environ',
    'rows.jsonl\0',
    '..\\..\\x/../../secret',
  ])('may not leave them: %j', async (path) => {
    await start(join(folder, 'data'));
    expect(await refused({ prompts: path })).toEqual(['prompts']);
    expect(await refused({ scorers: [`gold:${path}`] })).toEqual(['scorers[0]']);
  });

  it('may name any path where the owner of the process asks in it, and none over the socket of the same gateway', async () => {
    await start();
    const path = join(folder, 'secret', 'rows.jsonl');
    const request = (config: object, headers: Record<string, string> = {}) => ({
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(config),
    });
    const { service } = gateway;
    for (const prompts of [path, 'secret/../rows.jsonl']) {
      const config = ppo({ prompts, scorers: [`gold:${prompts}`] });
      const inProcess = await service.request('/v1/runs', request(config), asOwner);
      expect(inProcess.status).toBe(201);
      expect(((await inProcess.json()) as { config: PpoConfig }).config.prompts).toBe(prompts);
    }
    for (const headers of [undefined, { 'x-owner': 'true' }])
      await expectProblem(
        await fetch(`${service.url}/v1/runs`, request(ppo({ prompts: path }), headers)),
        403,
        'PATH_NOT_ALLOWED',
      );
    // A request without bindings is not the owner's either.
    await expectProblem(
      await service.request('/v1/runs', request(ppo({ prompts: path }))),
      403,
      'PATH_NOT_ALLOWED',
    );
  });

  it('is the same run when it is posted again', async () => {
    await start(join(folder, 'data'));
    const body = ppo({ prompts: 'rows.jsonl' });
    const statuses = [await gateway.post('/v1/runs', body), await gateway.post('/v1/runs', body)];
    expect(statuses.map(({ status }) => status)).toEqual([201, 200]);
  });

  it('is not taken where the roots are not there', async () => {
    await start();
    const environment = { RLHF_HTTP_ROOTS: join(folder, 'nowhere') };
    await expect(startGateway({ environment })).rejects.toMatchObject({ code: 'RUNTIME_SETTINGS' });
  });
});
