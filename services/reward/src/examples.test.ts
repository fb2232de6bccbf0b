/** The example declarations do what README.md says of them. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openScorers, readDeclarations } from '@rlhf-streams/scorers';
import { expect, it } from 'vitest';

const file = fileURLToPath(new URL('../examples/scorers.yaml', import.meta.url));

it('the example file declares an HTTP service, a module and a judge; the module scores', async () => {
  expect([...(await readDeclarations(file)).keys()]).toEqual(['toxicity', 'house-style', 'helpful']);
  const directory = await mkdtemp(join(tmpdir(), 'examples-'));
  const environment = { TOXICITY_TOKEN: 'a', OPENAI_API_KEY: 'b' };
  const scorers = await openScorers({ file, environment, directory });
  const score = (prompt: string, completion: string) => scorers.score('house-style', { prompt, completion });
  expect(await score('Write a letter', 'Dear Ann, ... Love, Bob')).toEqual({
    score: 0.5,
    parts: { greets: 1, signs: 0 },
  });
  expect(await score('Add two numbers', 'Dear me')).toBeNull();
  await scorers.close();
  await rm(directory, { recursive: true });
});

it('the README shows the prompts of judges', async () => {
  const { declaration } = (await readDeclarations(file)).get('helpful')!;
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8');
  if (!('judge' in declaration)) return expect.unreachable();
  const { scoreTemplate, pairTemplate } = declaration.judge;
  expect(readme).toContain(`\n${scoreTemplate}\n`);
  expect(readme).toContain(`\n${pairTemplate}\n`);
});
