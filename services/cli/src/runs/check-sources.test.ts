import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseRunConfig } from '@rlhf-streams/runs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { checkSources } from './check-sources.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'check-sources-'));
});
afterEach(() => rm(folder, { recursive: true }));

const sft = (data: string) => parseRunConfig({ run: 'a', method: 'sft', steps: 1, model: {}, data });
const ppo = (scorer: string) =>
  parseRunConfig({
    run: 'b',
    method: 'ppo',
    steps: 1,
    model: 'run:a',
    prompts: 'feedback:c',
    scorers: [scorer],
  });

async function file(name: string, ...rows: readonly object[]): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, rows.map((row) => JSON.stringify(row)).join('\n'));
  return path;
}

it('takes what is no file as it is, and files that can be read', async () => {
  const texts = await file('texts.jsonl', { text: 'one' });
  const labelled = await file('labelled.jsonl', { text: 'good', label: 1 }, { text: 'bad', label: 0 });
  await checkSources([
    sft('bundled'),
    sft(texts),
    ppo('run:r'),
    ppo('gold:bundled'),
    ppo(`gold:${labelled}`),
  ]);
});

it('finds a file that is missing, of whichever run', async () => {
  const missing = checkSources([sft('bundled'), sft(join(folder, 'none.jsonl'))]);
  await expect(missing).rejects.toMatchObject({
    code: 'DATA_NOT_FOUND',
    message: expect.stringMatching(/^run a cannot be done: .*none\.jsonl: no such file/),
  });
});

it('finds texts without labels, or of one label, that a gold reward is to learn from', async () => {
  for (const row of [{ text: 'good' }, { text: 'good', label: 1 }]) {
    const gold = `gold:${await file('rows.jsonl', row, row)}`;
    await expect(checkSources([ppo(gold)])).rejects.toMatchObject({ code: 'DATA_NEEDS_LABELS' });
  }
});
