import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadDataset, readDataset } from '@rlhf-streams/data';
import { type Label, readLabels } from '@rlhf-streams/evaluation';
import { type DataFor, encodeEvent } from '@rlhf-streams/events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { command } from '../command.test.support.js';
import { openClient } from '../place/client.js';

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

async function labelsOf(file: string): Promise<Label[]> {
  const rows: unknown[] = [];
  for await (const row of readDataset(join(folder, file))) rows.push(row);
  return readLabels(rows, file);
}

/** A log in the folder `there`, with feedback. */
async function publishFeedback(records: readonly DataFor<'feedback.recorded'>[]): Promise<void> {
  const client = await openClient({ directory: join(folder, 'there') });
  await client.events.publish(
    records.map((data) => ({ type: 'feedback.recorded' as const, id: data.feedback, data })),
  );
  await client.close();
}

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

  it('are all written as rows that are read again as the same, also those without a rank', async () => {
    const more =
      'How do I open it?,"With a ""key"".",ppo,zoe,out,de,,4,,\nHow do I open it?,No.,sft,zoe,out,de,,,yes,\n';
    await writeFile(join(folder, 'labels.csv'), CSV + more);
    const words = ['labels', 'labels.csv', '--held-out', 'zoe', '--labels', 'out/all.jsonl'];
    const { code, stderr } = await command(folder, words);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const written = await labelsOf('out/all.jsonl');
    expect(written).toEqual(await labelsOf('labels.csv'));
    expect(written).toHaveLength(8);
    expect(written.slice(6)).toMatchObject([{ overall_quality: 4 }, { hallucination: true }]);
  });

  it('are read from feedback on the log, whose mistakes are told by its id', async () => {
    const said = { collection: 'people', labeler: 'ann', prompt: 'How do I reset it?' };
    const ranking = {
      ...said,
      feedback: 'b',
      completions: ['Hold the button.', 'No.'],
      ranks: [1, 2],
      metadata: { language: 'en', labels: [{ overall_quality: 6 }, { hallucination: true }] },
    };
    const thumb = {
      ...said,
      feedback: 'a',
      prompt: [{ role: 'user', content: 'How do I reset it?' }],
      completion: 'Ask.',
      label: false,
      metadata: { labels: [{ overall_quality: 2, sexual_content: false }] },
    };
    const elsewhere = { ...thumb, collection: 'others', feedback: 'c' };
    const bare = { ...said, feedback: 'bare', completion: 'Ask.', label: true };
    await publishFeedback([ranking, thumb, { ...thumb, completion: 'again' }, elsewhere, bare]);
    const words = 'labels feedback:people --directory there --labels all.jsonl'.split(' ');
    const { code, stdout, stderr } = await command(folder, words);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('1 thumbs of feedback:people have no labels');
    expect(stdout).toContain('3 labels of 1 labelers');
    const row = { prompt: said.prompt, labeler: 'ann' };
    expect(await labelsOf('all.jsonl')).toEqual([
      {
        ...row,
        prompt: thumb.prompt,
        completion: 'Ask.',
        label: false,
        overall_quality: 2,
        sexual_content: false,
      },
      { ...row, completion: 'Hold the button.', language: 'en', rank: 1, overall_quality: 6 },
      { ...row, completion: 'No.', language: 'en', rank: 2, hallucination: true },
    ]);

    const wrong = { ...thumb, feedback: 'wrong', metadata: { labels: [{ overall_quality: 9 }] } };
    await publishFeedback([wrong]);
    const nowhere = await command(folder, ['labels', 'feedback:people']);
    expect(nowhere.stderr).toContain('there is nothing there: name another folder with --directory');
    const refused = await command(folder, words);
    expect(refused.stderr).toContain(
      'feedback wrong, overall_quality: expected a whole number from 1 (worst) to 7 (best), got 9',
    );
    expect(refused.code).toBe(2);
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
