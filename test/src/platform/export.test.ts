import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { filesystemArtifacts } from '@rlhf-streams/artifacts';
import { createEvents } from '@rlhf-streams/bus';
import type { ArtifactRef } from '@rlhf-streams/events';
import { mergeAdapter, readAdapter, readCheckpoint } from '@rlhf-streams/model';
import { openLog } from '@rlhf-streams/service';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { command, commandProcess, type Ended } from './command.js';
import { tinyComparisons, tinyReward, tinySft, writeReviews } from './tiny-runs.js';

let folder: string;
let ran: Ended;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'export-'));
  const data = await writeReviews(folder);
  const reward = { ...tinyReward(), demonstrations: data, maxDemonstrations: 9 };
  const { checkpointEvery: _, ...sft } = tinySft(data);
  const lora = { ...sft, run: 'lora', model: 'run:sft', steps: 1, peft: { r: 2 } };
  const runs = [tinySft(data), tinyComparisons(data), reward, lora].map((config) => JSON.stringify(config));
  await writeFile(join(folder, 'runs.yaml'), runs.join('\n---\n'));
  ran = await commandProcess(folder, ['run', 'runs.yaml', '--directory', 'data']);
  expect(ran).toMatchObject({ code: 0 });
}, 120_000);
afterAll(() => rm(folder, { recursive: true }));

const rlhfStreams = (...words: string[]) => command(folder, [...words, '--directory', 'data']);

const contentOf = async (directory: string) => {
  const names = (await readdir(directory)).sort();
  return Promise.all(names.map(async (name) => [name, await readFile(join(directory, name))] as const));
};

/** The content of a version as the log and the store have it. */
async function storedContent(run: string, version: number) {
  const log = await openLog({ RLHF_DATA_DIR: join(folder, 'data') });
  try {
    const artifacts = filesystemArtifacts({ directory: join(folder, 'data', 'artifacts') });
    const refs = new Map<number, ArtifactRef>();
    for await (const { data } of createEvents({ log, source: 'test' }).readAll(['training-metrics']))
      if (data.run === run && data.published) refs.set(data.policyVersion, data.published.base);
    return await contentOf(await artifacts.fetch(refs.get(version)!));
  } finally {
    await log.close();
  }
}

it('a run that trained ends with the command that exports its model, and the command works', async () => {
  const hints = [...ran.stdout.matchAll(/^Export its model with: npx rlhf-streams (export .*)$/gm)];
  expect(hints.map(([, command]) => command)).toEqual([
    'export sft models/sft --directory data',
    'export reward models/reward --directory data',
    'export lora models/lora --directory data',
  ]);
  const { code, stdout } = await rlhfStreams('export', 'sft', 'models/sft');
  const path = join(folder, 'models', 'sft');
  expect(code).toBe(0);
  expect(stdout.split('\n').slice(0, 2)).toEqual([path, 'run sft, version 6 of step 6: a policy']);
  expect(stdout).toContain(`pipeline('text-generation', model="${path}")`);
  expect(await contentOf(path)).toEqual(await storedContent('sft', 6));
  const { config, tokenizer } = await readCheckpoint(path);
  expect(config).toMatchObject({ width: 32, layers: 2 });
  expect(tokenizer).toBeDefined();
});

it('a reward model says that it is one', async () => {
  const { code, stdout } = await rlhfStreams('export', 'reward', 'rm');
  expect(code).toBe(0);
  expect(stdout).toContain('version 3 of step 3: a reward model');
  expect(stdout).toMatch(/pipeline\('text-classification', model="[^"]*", function_to_apply='none'\)/);
  const offset = expect.any(Number);
  const { head } = (await readCheckpoint(join(folder, 'rm'))).config;
  expect(head).toEqual({ kind: 'scalar', labels: 1, offset });
  expect(stdout).toContain(
    `less score_offset of its config.json, ${(head as { offset: number }).offset}, so that demonstrations score 0; transformers gives them unshifted`,
  );
});

it('a precision, and the size of files, may be asked for', async () => {
  const options = ['--dtype', 'bfloat16', '--max-shard-size', '20KB'];
  expect(await rlhfStreams('export', 'sft', 'halves', ...options)).toMatchObject({ code: 0 });
  expect(await readdir(join(folder, 'halves'))).toContain('model.safetensors.index.json');
  expect(await rlhfStreams('export', 'sft', 'wholes')).toMatchObject({ code: 0 });
  const [rounded, exact] = await Promise.all(
    ['halves', 'wholes'].map((name) => readCheckpoint(join(folder, name))),
  );
  expect(rounded!.config.storedAs?.dtype).toBe('bfloat16');
  const [x, y] = [rounded, exact].map((model) => model!.tensors.get('wte.weight')!.data);
  for (const [i, value] of y!.entries())
    expect(Math.abs(x![i]! - value)).toBeLessThanOrEqual(2 ** -8 * Math.abs(value));
  // One file takes the place of many.
  expect(await rlhfStreams('export', 'sft', 'halves', '--force')).toMatchObject({ code: 0 });
  expect(await contentOf(join(folder, 'halves'))).toEqual(await contentOf(join(folder, 'wholes')));
});

it('an adapter is written alone, or with its base as one model', async () => {
  const alone = await rlhfStreams('export', 'lora', 'lora');
  expect(alone).toMatchObject({ code: 0 });
  expect(alone.stdout).toMatch(
    /version 1 of step 1: an adapter that makes a policy of .*; --merge writes the two/,
  );
  expect(alone.stdout).toContain('AutoPeftModelForCausalLM.from_pretrained(');
  expect(await readdir(join(folder, 'lora'))).toEqual(
    expect.arrayContaining(['adapter_config.json', 'adapter_model.safetensors', 'tokenizer.json']),
  );
  const merged = await rlhfStreams('export', 'lora', 'merged', '--merge');
  expect(merged.stdout).toMatch(/version 1 of step 1: a policy\n.*pipeline\('text-generation'/);
  expect(await rlhfStreams('export', 'sft', 'base')).toMatchObject({ code: 0 });
  const [base, whole] = await Promise.all(
    ['base', 'merged'].map((name) => readCheckpoint(join(folder, name))),
  );
  const adapter = await readAdapter(join(folder, 'lora'), base!.config);
  expect(whole!.tensors).toEqual(mergeAdapter(adapter.config, base!.tensors, adapter.tensors).tensors);
  expect(whole!.tensors).not.toEqual(base!.tensors);
  expect(whole!.config).toEqual(base!.config);
});

it('an older version takes the place of another where that is asked for', async () => {
  await rlhfStreams('export', 'sft', 'versions');
  expect(await rlhfStreams('export', 'sft@3', 'versions')).toMatchObject({ code: 2, stdout: '' });
  expect(await contentOf(join(folder, 'versions'))).toEqual(await storedContent('sft', 6));
  expect(await rlhfStreams('export', 'sft@3', 'versions', '--force')).toMatchObject({ code: 0 });
  expect(await contentOf(join(folder, 'versions'))).toEqual(await storedContent('sft', 3));
});

it.each([
  [['comparisons', 'new'], /run comparisons samples and trains nothing.*it sampled from run:sft/],
  [['stf2', 'new'], /got stf2.*runs with a model: .*reward/],
  [['sft@4', 'new'], /no version 4; there are (0 \(step 0\), )?3 \(step 3\), 6 \(step 6\)/],
  [['sft', 'new', '--merge'], /to have published an adapter for --merge, got a whole model/],
  [['lora', 'new', '--dtype', 'float16'], /expected --merge beside --dtype/],
  [['sft', 'runs.yaml'], /to be a folder or nothing, got a file/],
  [['sft', 'data', '--force'], /got artifacts\/, .*which would be lost/],
  [['sft', '.', '--force'], /where this command runs/],
])('export %j is refused with exit code 2, and writes nothing', async (args, said) => {
  const before = await readdir(folder);
  const { code, stderr } = await rlhfStreams('export', ...args);
  expect(stderr).toMatch(said);
  expect(stderr).toContain('CLI_EXPORT_REFUSED');
  expect(code).toBe(2);
  expect(await readdir(folder)).toEqual(before);
});

it('while another process has the log, says what to do', async () => {
  const log = await openLog({ RLHF_DATA_DIR: join(folder, 'data') });
  try {
    const { code, stderr } = await commandProcess(folder, ['export', 'sft', 'new', '--directory', 'data']);
    expect(stderr).toContain(`The log in ${join(folder, 'data')} is in use by process ${process.pid}`);
    expect(stderr).toMatch(/export when its runs have ended, or stop it first .*\(LOG_LOCKED\)/);
    expect(code).not.toBe(0);
  } finally {
    await log.close();
  }
});
