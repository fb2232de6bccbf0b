import { type Engine, onnxPool } from '@rlhf-streams/tensor';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { begin, bitsOf, demonstrationItem, itemsFor, runOf } from '../tiny.test.support.js';

let pool: Engine;
beforeAll(() => {
  pool = onnxPool({ workers: 1 });
});
afterAll(() => pool.close());

const prompted = demonstrationItem('tiny/0/0', { promptTokens: [0, 5], tokens: [1, 2, 3] });
const text = demonstrationItem('tiny/0/1', { promptTokens: [], tokens: [4, 2] });
/** Nothing comes before its only token: nothing predicts it. */
const lone = demonstrationItem('tiny/0/2', { promptTokens: [], tokens: [4] });

it('counts the tokens read since the start, those of prompts too', async () => {
  const run = await begin(runOf('sft'), pool);
  expect(await run.update([prompted, text])).toMatchObject({ num_tokens: 7 });
  expect(await run.update([prompted, lone])).toMatchObject({ num_tokens: 13 });
  expect(await run.evaluate([prompted, text])).toMatchObject({ 'eval/completion_tokens': 4 });
  await run.trainer.close();
});

it('does not learn from a step in which no token is predicted, and measures nothing there', async () => {
  const run = await begin(runOf('sft', { optimizer: { weightDecay: 0.1 } }), pool);
  await run.update(itemsFor('sft', 3));
  const before = await bitsOf(run);
  expect(Object.keys(await run.update([lone]))).toEqual(['num_tokens']);
  expect(await bitsOf(run)).toEqual(before);
  expect(await run.evaluate([lone])).toEqual({ 'eval/completion_tokens': 0 });
  await run.trainer.close();
});
