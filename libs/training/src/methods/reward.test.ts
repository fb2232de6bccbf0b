/** Demonstrations of a reward run: the score that they have by its last weights is taken from all scores. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { initialiseWeights, readCheckpoint, rewardScorer, writeCheckpoint } from '@rlhf-streams/model';
import type { Item } from '@rlhf-streams/runs';
import { type Engine, onnxEngine, onnxPool } from '@rlhf-streams/tensor';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openSession } from '../session.js';
import { demonstrationItem, itemsFor, language, runOf, tokenSource } from '../tiny.test.support.js';

let engine: Engine;
let root: string;
let folders = 0;
const fresh = () => join(root, `folder-${folders++}`);
let body: string;
beforeAll(async () => {
  engine = onnxPool({ workers: 2 });
  root = await mkdtemp(join(tmpdir(), 'demonstrations-'));
  body = fresh();
  await writeCheckpoint(body, { config: language, tensors: initialiseWeights(language, 1) });
});
afterAll(async () => {
  await engine.close();
  await rm(root, { recursive: true });
});

const config = runOf('reward', { steps: 3, demonstrations: 'd', optimizer: { learningRate: 1e-2 } });
const open = async (model = body, checkpoint?: string) =>
  (await openSession({ config, models: { policy: { base: model } }, engine, workers: 2, checkpoint }))
    .session;

const source = tokenSource(5);
const demonstrations: readonly Item[] = Array.from({ length: 7 }, (_, i) =>
  demonstrationItem(`tiny/2/${i}`, source.sequence()),
);
const texts = demonstrations.map(({ demonstration }) => ({
  tokens: [...demonstration!.promptTokens, ...demonstration!.tokens],
}));

/** Scores of the demonstrations by a published model, with and without its offset. */
async function scoresOf(directory: string) {
  const { config, tensors } = await readCheckpoint(directory);
  const values = Object.fromEntries([...tensors].map(([name, { data }]) => [name, data]));
  const { offset = 0 } = config.head as { offset?: number };
  const scorer = rewardScorer(onnxEngine(), config, { hash: directory, values });
  const scores = await scorer.score(texts);
  await scorer.dispose();
  return { offset, scores, raw: scores.map((score) => score + offset) };
}
const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;

/** Three steps, of which the last has demonstrations; a checkpoint before that. */
async function train(model?: string) {
  const session = await open(model);
  await session.update(itemsFor('reward', 4, 1));
  const { metrics } = await session.update(itemsFor('reward', 4, 2));
  const [earlier, checkpoint, last, end] = [fresh(), fresh(), fresh(), fresh()];
  await session.savePublished(earlier);
  await session.saveCheckpoint(checkpoint, {});
  const { metrics: final } = await session.update(itemsFor('reward', 4, 3), { demonstrations });
  await session.savePublished(last);
  await session.saveCheckpoint(end, {});
  return { session, metrics, final, earlier, checkpoint, last, end };
}
const configOf = (directory: string) => readFile(join(directory, 'config.json'), 'utf8');

it('score 0 on average by the model that the run ends with, and by no version before', async () => {
  const { session, metrics, final, earlier, last } = await train();
  await session.close();
  const { offset, scores, raw } = await scoresOf(last);
  expect(mean(scores)).toBeCloseTo(0, 5);
  expect(mean(raw)).toBeCloseTo(offset, 5);
  expect(Math.abs(offset)).toBeGreaterThan(1e-3);
  expect(final.score_offset).toBe(offset);
  expect(metrics).not.toHaveProperty('score_offset');
  expect(JSON.parse(await configOf(last))).toMatchObject({ score_offset: offset });
  expect(JSON.parse(await configOf(earlier))).not.toHaveProperty('score_offset');
});

it('are scored anew by a run that went on from a checkpoint, to the same bits, and by one that is extended', async () => {
  const { session, last, checkpoint, end } = await train();
  const resumed = await open(body, checkpoint);
  await resumed.update(itemsFor('reward', 4, 3), { demonstrations });
  const again = fresh();
  await resumed.savePublished(again);
  await resumed.close();
  expect(await configOf(again)).toBe(await configOf(last));

  // The checkpoint of the end publishes what was published; a step more has an offset of its own, or none.
  const reopened = await open(body, end);
  const published = fresh();
  await reopened.savePublished(published);
  await reopened.close();
  expect(await configOf(published)).toBe(await configOf(last));
  session.extend(5);
  await session.update(itemsFor('reward', 4, 4));
  const [without, extended] = [fresh(), fresh()];
  await session.savePublished(without);
  await session.update(itemsFor('reward', 4, 5), { demonstrations });
  await session.savePublished(extended);
  await session.close();
  expect(JSON.parse(await configOf(without))).not.toHaveProperty('score_offset');
  const { offset, scores } = await scoresOf(extended);
  expect(mean(scores)).toBeCloseTo(0, 5);
  expect(offset).not.toBe((await scoresOf(last)).offset);
});

it('of the model that a run starts from set nothing: it is trained by its scores as the head gives them', async () => {
  const { session, last } = await train();
  await session.close();
  const unshifted = fresh();
  const { config, tensors } = await readCheckpoint(last);
  await writeCheckpoint(unshifted, { config: { ...config, head: { kind: 'scalar', labels: 1 } }, tensors });
  const ends = [];
  for (const model of [last, unshifted]) {
    const session = await open(model);
    const { metrics } = await session.update(itemsFor('reward', 4, 6));
    const directory = fresh();
    await session.savePublished(directory);
    await session.close();
    ends.push({ metrics, parameters: await readFile(join(directory, 'model.safetensors'), 'base64') });
    expect(JSON.parse(await configOf(directory))).not.toHaveProperty('score_offset');
  }
  expect(ends[0]).toEqual(ends[1]);
});

it('are scored where a step has no pair to learn from', async () => {
  const session = await open();
  await session.update(itemsFor('reward', 4, 1));
  const { metrics } = await session.update([], { demonstrations });
  expect(metrics).toEqual({ pairs: 0, score_offset: expect.any(Number) });
  await session.close();
});
