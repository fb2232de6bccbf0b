/** The example of every method, as METHODS.md and `rlhf-streams methods NAME` show it, is a run that completes. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { methodDescriptions, methods, type RunConfigInput } from '@rlhf-streams/runs';
import { bundledCorpus } from '@rlhf-streams/sentiment';
import { followRun, type Platform, requestRun, startPlatform } from 'rlhf-streams';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse } from 'yaml';
import { oneThread } from '../platform/tiny-runs.js';

/** What the examples are cut to, so that the whole list is done in seconds. */
const cuts = { steps: 1, batchSize: 2, sampling: { maxNewTokens: 4 } };

let folder: string;
let platform: Platform;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'examples-'));
  await writeFiles();
  platform = await startPlatform({
    directory: join(folder, 'log'),
    logLevel: 'silent',
    environment: oneThread,
  });
});
afterAll(async () => {
  await platform.close();
  await rm(folder, { recursive: true });
});

/** The files that examples name: a positive review is better than a negative one. */
async function writeFiles(): Promise<void> {
  const [good, bad] = [1, 0].map((wanted) =>
    bundledCorpus({ size: 80 }).flatMap(({ text, label }) => (label === wanted ? ` ${text}` : [])),
  ) as [string[], string[]];
  const prompt = 'The film:';
  const rows = Array.from({ length: 20 }, (_, i) => ({ good: good[i]!, bad: bad[i]!, place: i }));
  const files = {
    'preferences.jsonl': rows.map(({ good, bad }) => ({ prompt, chosen: good, rejected: bad })),
    'rankings.jsonl': rows.map(({ good, bad, place }) => ({
      prompt,
      completions: [bad, good, bad.slice(0, 10 + place)],
      ranks: [2, 1, 2],
    })),
    'thumbs.jsonl': rows.map(({ good, bad, place }) => ({
      prompt,
      completion: place % 2 ? good : bad,
      label: place % 2 === 1,
    })),
  };
  for (const [name, lines] of Object.entries(files))
    await writeFile(join(folder, name), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
}

const described = methodDescriptions();

/** The example of a method, with its files where they are, smaller. */
function runOf({ name, example }: (typeof described)[number]): RunConfigInput {
  const written = parse(example) as RunConfigInput;
  const settings = methods[name].config.shape;
  return {
    ...written,
    ...('data' in written &&
      /\.jsonl$/.test(String(written.data)) && { data: join(folder, String(written.data)) }),
    ...Object.fromEntries(Object.entries(cuts).filter(([setting]) => setting in settings)),
  } as RunConfigInput;
}

// In the order of the registry: later examples start from what `my-sft` and `my-reward` made.
it.each(described)('the example of $name runs', async (method) => {
  const config = runOf(method);
  await requestRun(platform, config);
  const { steps } = await followRun(platform, config.run, {});
  expect(steps).toBe(cuts.steps);
});
