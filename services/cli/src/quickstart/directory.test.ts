import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EventLog } from '@rlhf-streams/log';
import type { RecipeOptions } from '@rlhf-streams/sentiment';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defaultDirectory, openDirectory, shareDirectory, writeReport } from './directory.js';

const options: RecipeOptions = { data: 'bundled', seed: 0, short: false };
const others: [string, RecipeOptions][] = [
  ['seed', { ...options, seed: 1 }],
  ['data', { ...options, data: 'reviews.jsonl' }],
  ['architecture', { ...options, architecture: 'llama' }],
  ['kind of weights', { ...options, lora: true }],
  ['length', { ...options, short: true }],
  ['limits', { ...options, allow: { cut: 1 } }],
];

let parent: string;
let directory: string;
const held: EventLog[] = [];
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'quickstart-'));
  directory = join(parent, 'runs', 'quickstart');
});
afterEach(async () => {
  await leave();
  await rm(parent, { recursive: true });
});

const leave = async () => {
  for (const log of held.splice(0)) await log.close();
};
const hold = async (how: { resume?: boolean; force?: boolean } = {}, wanted = options, where = directory) => {
  const log = await openDirectory(where, wanted, { resume: false, force: false, ...how }, async (log) => log);
  held.push(log);
};
/** An experiment that came to its end, or was left before. */
const done = async ({ finished = true, wanted = options } = {}) => {
  await hold({}, wanted);
  await writeFile(join(directory, 'weights'), 'an hour of work');
  if (finished) await writeFile(join(directory, 'report.html'), 'results');
  await leave();
};
const kept = async (where = directory) => {
  expect(await readFile(join(where, 'weights'), 'utf8')).toBe('an hour of work');
};

describe('a new experiment', () => {
  it('makes its folder, or takes an empty one', async () => {
    await hold();
    expect(await readdir(directory)).toEqual(['log', 'quickstart.json']);
    await mkdir(join(parent, 'empty'));
    await hold({}, options, join(parent, 'empty'));
  });

  it.each([{ finished: true }, { finished: false }])('leaves what is there as it is: %j', async (state) => {
    await done(state);
    const refusal = await hold().catch((error) => error);
    expect(refusal).toMatchObject({ code: 'CLI_EXPERIMENT_EXISTS' });
    for (const said of [
      directory,
      '--resume',
      '--force',
      ...(state.finished ? ['report.html'] : ['not finished']),
    ])
      expect(refusal.message).toContain(said);
    await kept();
    // The lock is given back.
    await hold({ resume: true });
  });

  it.each(others)('leaves an experiment of another %s as it is', async (_, wanted) => {
    await done();
    const refusal = await hold({}, wanted).catch((error) => error);
    expect(refusal).toMatchObject({ code: 'CLI_EXPERIMENT_EXISTS' });
    for (const said of [directory, join(directory, 'report.html'), '--directory', '--force', '--seed 0'])
      expect(refusal.message).toContain(said);
    await kept();
  });

  it('replaces an experiment when told to, and only what was its own', async () => {
    await done();
    await hold({ force: true }, { ...options, seed: 1 });
    expect(await readdir(directory)).toEqual(['log', 'quickstart.json']);
    expect(await readdir(join(parent, 'runs'))).toEqual(['quickstart']);
    await leave();
    await hold({ resume: true }, { ...options, seed: 1 });
  });

  it.each([{}, { force: true }])(
    'that cannot be opened leaves nothing that keeps it from beginning again: %j',
    async (how) => {
      if ('force' in how) await done();
      const opening = openDirectory(directory, options, { resume: false, force: false, ...how }, async () => {
        await mkdir(join(directory, 'tmp'));
        throw new Error('no GPU');
      });
      await expect(opening).rejects.toThrow('no GPU');
      expect(await readdir(directory)).toEqual(['log']);
      await hold();
    },
  );

  it('replaces it where a link leads to it, and keeps the link', async () => {
    await done();
    await symlink(directory, join(parent, 'link'));
    await hold({ force: true }, options, join(parent, 'link'));
    expect(await readdir(directory)).toEqual(['log', 'quickstart.json']);
    expect(await readdir(join(parent, 'link'))).toEqual(['log', 'quickstart.json']);
  });

  it.each([
    ['', undefined],
    [', though it has a file of the name', '{"theme":"dark"}'],
    [', though it has a file of the name that is no JSON', '{'],
  ])("never touches somebody else's folder%s", async (_, marker) => {
    await writeFile(join(parent, 'thesis.tex'), 'ten years of work');
    if (marker) await writeFile(join(parent, 'quickstart.json'), marker);
    const before = await readdir(parent);
    for (const how of [{}, { force: true }, { resume: true }])
      await expect(hold(how, options, parent)).rejects.toMatchObject({
        code: 'CLI_DIRECTORY_FOREIGN',
        message: expect.stringContaining('--directory'),
      });
    expect(await readdir(parent)).toEqual(before);
  });
});

it('a file is no folder for an experiment', async () => {
  const file = join(parent, 'file');
  await writeFile(file, 'mine');
  await expect(hold({ force: true }, options, file)).rejects.toMatchObject({ code: 'CLI_DIRECTORY_FOREIGN' });
  expect(await readFile(file, 'utf8')).toBe('mine');
});

describe('while one is at work', () => {
  it.each<[string, object, RecipeOptions]>([
    ['begun', {}, options],
    ['begun with other options', {}, { ...options, seed: 1 }],
    ['resumed', { resume: true }, options],
    ['forced', { force: true }, options],
  ])('another that is %s is refused, and touches nothing', async (_, how, wanted) => {
    await hold();
    await writeFile(join(directory, 'weights'), 'an hour of work');
    await expect(hold(how, wanted)).rejects.toMatchObject({
      code: 'LOG_LOCKED',
      message: expect.stringContaining(String(process.pid)),
    });
    await kept();
  });

  it('of many that begin at once one has the folder, whether they are told to replace or not', async () => {
    await done();
    for (const force of [false, true]) {
      const all = await Promise.allSettled(Array.from({ length: 8 }, () => hold({ resume: !force, force })));
      expect(held).toHaveLength(1);
      for (const { reason } of all.filter((each) => each.status === 'rejected'))
        expect(reason).toMatchObject({ code: 'LOG_LOCKED' });
      await leave();
    }
    expect(await readdir(directory)).toEqual(['log', 'quickstart.json']);
  });
});

describe('an experiment that goes on', () => {
  it('keeps what is there', async () => {
    await done({ finished: false });
    await hold({ resume: true });
    await kept();
  });

  it('may be of an earlier version, that did not know of limits', async () => {
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, 'quickstart.json'), '{"data":"bundled","seed":0,"short":false}');
    await hold({ resume: true });
  });

  it('must be there', async () => {
    await expect(hold({ resume: true })).rejects.toMatchObject({
      code: 'CLI_NOTHING_TO_RESUME',
      message: expect.stringContaining('no experiment'),
    });
    expect(await readdir(parent)).toEqual([]);
  });

  it.each(others)('must be the same: not with another %s', async (_, wanted) => {
    await done();
    await expect(hold({ resume: true }, wanted)).rejects.toMatchObject({
      code: 'CLI_NOTHING_TO_RESUME',
      message: expect.stringContaining('--data bundled --seed 0'),
    });
    await kept();
  });
});

it('a report is written once: an experiment that is looked at again keeps its own', async () => {
  await hold();
  const path = await writeReport(directory, 'of the experiment');
  expect(await writeReport(directory, 'of a later look')).toBe(path);
  expect(await readFile(path, 'utf8')).toBe('of the experiment');
  expect(await readdir(directory)).toEqual(['log', 'quickstart.json', 'report.html']);
});

describe('on a log that others use too', () => {
  it('a folder holds the results of one experiment, time and again', async () => {
    expect(await shareDirectory(directory, options, async () => 1)).toBe(1);
    expect(await shareDirectory(directory, options, async () => 2)).toBe(2);
    expect(await readdir(directory)).toEqual(['quickstart.json']);
    for (const [, wanted] of others)
      await expect(shareDirectory(directory, wanted, async () => {})).rejects.toMatchObject({
        code: 'CLI_EXPERIMENT_EXISTS',
      });
  });

  it('nothing is written when the log cannot be reached', async () => {
    const open = () => Promise.reject(new Error('no broker answers'));
    await expect(shareDirectory(directory, options, open)).rejects.toThrow('no broker answers');
    expect(await readdir(parent)).toEqual([]);
  });

  it('a folder that holds other things too never comes to look like one that may be replaced', async () => {
    await writeFile(join(parent, 'artifacts'), 'of all runs');
    await shareDirectory(parent, options, async () => {});
    expect(await readdir(parent)).toEqual(['artifacts']);
  });
});

it('each experiment has a folder of its own, if none is named', () => {
  expect(defaultDirectory(options)).toBe(join('runs', 'quickstart'));
  const all = [
    ...others.map(([, other]) => other),
    { data: '../my data/reviews.v2.jsonl.gz', seed: 7, short: true, allow: { dropped: 0.5, cut: 1 } },
    { data: '.jsonl', seed: 0 },
  ].map(defaultDirectory);
  expect(all).toEqual(
    [
      'quickstart-seed-1',
      'quickstart-reviews',
      'quickstart-llama',
      'quickstart-lora',
      'quickstart-short',
      'quickstart-cut-1',
      'quickstart-short-reviews-seed-7-dropped-0.5-cut-1',
      'quickstart-data',
    ].map((name) => join('runs', name)),
  );
});
