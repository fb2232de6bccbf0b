import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadDataset } from '@rlhf-streams/data';
import { encodeEvent } from '@rlhf-streams/events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { command } from '../command.test.support.js';

const CSV = `prompt,completion,policy,labeler,labeler_group,language,rank,overall_quality,hallucination,reward
How do I reset it?,Hold the button.,ppo,ann,in,en,1,6,no,0.7
How do I reset it?,"No, idea.",sft,ann,in,en,2,2,no,0.1
How do I reset it?,Hold the button.,ppo,ben,in,en,1,7,no,0.7
How do I reset it?,"No, idea.",sft,ben,in,en,2,3,yes,0.1
How do I reset it?,Hold the button.,ppo,zoe,out,de,1,5,no,0.7
How do I reset it?,"No, idea.",sft,zoe,out,de,2,1,no,0.1
`;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rlhf-streams-labels-'));
  await writeFile(join(folder, 'labels.csv'), CSV);
});
afterEach(() => rm(folder, { recursive: true }));

describe('labels', () => {
  it('are measured, and written as JSON, CSV, a page, and comparisons that runs train on', async () => {
    const words = 'labels labels.csv --slices language,policy --held-out group=out --scores reward';
    const files = '--json out/l.json --csv out/l.csv --html out/l.html --comparisons out/pairs.jsonl';
    const { code, stdout, stderr } = await command(folder, `${words} ${files}`.split(' '));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('6 labels of 3 labelers');
    expect(stdout).toMatch(/^preference +reward +held-out labelers +100 %/m);
    const written = (name: string) => readFile(join(folder, 'out', name), 'utf8');
    const results = JSON.parse(await written('l.json'));
    expect(results).toMatchObject({ labels: 6, labelers: ['ann', 'ben', 'zoe'], heldOut: ['zoe'] });
    expect(results.measurements[0]).toMatchObject({
      measure: 'overall_quality',
      estimate: { mean: 4, n: 6 },
    });
    expect(await written('l.csv')).toContain('label,overall_quality,policy,ppo,,,6,');
    expect(await written('l.csv')).toContain('held_out,preference,language,de,reward,held-out labelers,1,');
    expect(await written('l.csv')).toContain('agreement,preference,language,en,,training labelers,1,');
    expect(await written('l.html')).toContain('Agreement with held-out labelers, by language');
    // Whoever was held out is not trained on.
    const { kind, rows } = await loadDataset(join(folder, 'out', 'pairs.jsonl'));
    expect(kind).toBe('ranking');
    expect(rows).toHaveLength(2);
    const lines = (await written('pairs.jsonl')).trim().split('\n');
    const [first] = lines.map((line) =>
      encodeEvent('feedback.recorded', JSON.parse(line), { id: 'one', source: 'labels' }),
    );
    expect(JSON.parse(first!.value)).toMatchObject({
      collection: 'pairs',
      labeler: 'ann',
      metadata: { language: 'en', labels: [{ policy: 'ppo' }, { policy: 'sft' }] },
    });
  });

  it.each([
    ['a column that is not there', ['--slices', 'langauge'], 'expected a column langauge'],
    ['a labeler who is not there', ['--held-out', 'zo'], 'got zo; there are labelers ann, ben, zoe'],
    ['nobody left', ['--held-out', 'ann,ben,zoe'], '0 of the latter'],
    ['scores for nobody', ['--scores', 'reward'], 'expected --held-out'],
  ])('%s is refused with exit code 2', async (_, options, said) => {
    const { code, stderr } = await command(folder, ['labels', 'labels.csv', ...options]);
    expect(stderr).toContain(said);
    expect(code).toBe(2);
  });

  it('mistakes are told by row and column', async () => {
    await writeFile(join(folder, 'bad.csv'), CSV.replace(',2,2,no', ',2,9,no'));
    const { code, stderr } = await command(folder, ['labels', 'bad.csv']);
    expect(stderr).toContain(
      'row 2, overall_quality: expected a whole number from 1 (worst) to 7 (best), got "9"',
    );
    expect(code).toBe(2);
  });
});
