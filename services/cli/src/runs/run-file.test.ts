import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { methodNames } from '@rlhf-streams/runs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readRunFile } from './run-file.js';

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'run-file-'));
  file = join(folder, 'runs.yaml');
});
afterEach(() => rm(folder, { recursive: true }));

const reading = async (text: string) => {
  await writeFile(file, text);
  return (await readRunFile(file)).runs;
};

const SFT = `
run: my-sft
method: sft
steps: 20
model: { layers: 2, width: 64 }
data: bundled
`;

describe('a run file', () => {
  it('holds a run a document, of any method, in their order', async () => {
    const runs = await reading(`${SFT}
---
run: my-reward # the scoring head is new
method: reward
steps: 10
model: run:my-sft
data: comparisons.jsonl
reward: { centerRewardsCoefficient: 0.01 }
---
run: my-ppo
method: ppo
steps: 30
model: run:my-sft
prompts: bundled
scorers: [run:my-reward, gold:bundled]
sampling:
  temperature: 1
  maxNewTokens: 24
ppo: { klCoef: 0.1, adaptiveKl: {} }
---
run: my-dpo
method: dpo
steps: 10
model: run:my-sft
data: comparisons.jsonl
dpo: { beta: 0.2, lossType: ipo }
---
run: my-samples
method: sample
steps: 1
model: run:my-ppo
prompts: bundled
`);
    expect(runs.map(({ run, method }) => [run, method])).toEqual([
      ['my-sft', 'sft'],
      ['my-reward', 'reward'],
      ['my-ppo', 'ppo'],
      ['my-dpo', 'dpo'],
      ['my-samples', 'sample'],
    ]);
    expect(runs[0]).toMatchObject({
      model: { layers: 2, width: 64, heads: 4 },
      optimizer: { learningRate: 2e-5 },
    });
    expect(runs[2]).toMatchObject({
      sampling: { topP: 1 },
      ppo: { klCoef: 0.1, adaptiveKl: { target: 6, horizon: 10_000 } },
    });
  });

  it('may be one experiment, whose runs may stand in any order', async () => {
    await writeFile(
      file,
      `
experiment: mine
tags: { seed: '7' }
runs:
  - { run: after, method: sft, steps: 20, model: run:before, data: bundled }
  - { run: before, method: sft, steps: 20, model: { layers: 2 }, data: bundled }
`,
    );
    const { runs, experiment } = await readRunFile(file);
    expect(experiment).toMatchObject({ experiment: 'mine', tags: { seed: '7' }, runs });
    expect(runs.map(({ run }) => run)).toEqual(['after', 'before']);
  });

  it('may be JSON, which is YAML', async () => {
    const json = { run: 'r', method: 'sft', steps: 1, model: 'folder', data: 'bundled' };
    expect(await reading(JSON.stringify(json))).toMatchObject([json]);
  });
});

describe('a file that is none', () => {
  it('because it is missing', async () => {
    await expect(readRunFile(join(folder, 'no.yaml'))).rejects.toMatchObject({
      code: 'CLI_FILE_UNREADABLE',
      message: expect.stringContaining('no.yaml'),
    });
  });

  it.each([
    ['empty', '', 'empty file'],
    ['only a comment', '# nothing\n', "a run's configuration"],
    ['a syntax error', 'run: [unclosed', 'is no YAML'],
    ['a key twice', `${SFT}steps: 30\n`, 'must be unique'],
    ['an alias of nothing', `${SFT}seed: *lost\n`, 'lost'],
    ['text', 'just words', "expected a run's settings by their names, got 'just words'"],
    [
      'an unknown method',
      SFT.replace('method: sft', 'method: rainbow'),
      `method: expected one of ${methodNames.join(', ')}, got 'rainbow'`,
    ],
    ['an unknown key', `${SFT}learning_rate: 1\n`, 'learningRate belongs in optimizer'],
    [
      'an unknown key within',
      `${SFT}optimizer: { lr: 1 }\n`,
      'optimizer.lr: no such setting; did you mean learningRate?',
    ],
    ['a wrong type', `${SFT}batchSize: many\n`, "batchSize: expected integer from 1 to 65536, got 'many'"],
    ['a value out of range', SFT.replace('20', '0'), 'steps: expected integer from 1 to 1000000, got 0'],
    ['a missing key', SFT.replace('data: bundled', ''), 'data: expected '],
    ['a wrong run name', SFT.replace('my-sft', 'My SFT'), 'a run id is 1-100 characters'],
  ])('because of %s', async (_, text, said) => {
    const error = await reading(text).catch((thrown) => thrown);
    expect(error).toMatchObject({ name: 'CliError', code: 'CLI_FILE_INVALID' });
    expect(error.message).toContain(file);
    expect(error.message).toContain(said);
  });

  it.each([
    [
      'without a name',
      'runs: []',
      ['experiment: expected a string, got nothing', 'runs: expected at least 1 item'],
    ],
    [
      'with a mistake in a run',
      'experiment: e\nruns: [{ run: r, method: sft, steps: 0, model: m, data: d }]',
      ['not an experiment', 'runs[0].steps: expected integer from 1'],
    ],
    ['with others', `experiment: e\nruns: []\n---${SFT}`, ['run 1 is an experiment', 'the only document']],
  ])('because of an experiment %s', async (_, text, said) => {
    const error = await reading(text).catch((thrown) => thrown);
    expect(error).toMatchObject({ name: 'CliError', code: 'CLI_FILE_INVALID' });
    for (const part of said) expect(error.message).toContain(part);
  });

  it('because of aliases that would fill the memory', async () => {
    const levels = Array.from(
      { length: 12 },
      (_, i) => `l${i + 1}: &l${i + 1} [${Array(9).fill(`*l${i}`).join(', ')}]`,
    );
    await expect(reading(['l0: &l0 [x]', ...levels].join('\n'))).rejects.toMatchObject({
      code: 'CLI_FILE_INVALID',
    });
  });

  it('names the document of several, and every mistake in it', async () => {
    const error = await reading(`${SFT}---${SFT.replace('20', '-1')}seed: x\n`).catch((thrown) => thrown);
    expect(error.message).toContain(`${file}, run 2 is`);
    for (const path of ['steps: ', 'seed: ']) expect(error.message).toContain(path);
  });

  it('names each run once, and before those that build on it', async () => {
    await expect(reading(`${SFT}\n---${SFT}seed: 1\n`)).rejects.toMatchObject({
      code: 'CLI_FILE_INVALID',
      message: `${file}, run 2 is called my-sft, as run 1 is: give it another name`,
    });
    const before = SFT.replace('run: my-sft', 'run: first').replace('{ layers: 2, width: 64 }', 'run:my-sft');
    await expect(reading(`${before}\n---${SFT}`)).rejects.toMatchObject({
      code: 'CLI_FILE_INVALID',
      message: `${file}, run 1 (first) builds on run my-sft, which comes after it, as run 2: put that first`,
    });
    // A run may build on one that an earlier file did.
    await expect(reading(`${before}\n`)).resolves.toHaveLength(1);
  });
});
