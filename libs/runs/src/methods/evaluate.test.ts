import { expect, it } from 'vitest';
import { runConfigMistakes } from '../run-config.js';

const run = { run: 'r', method: 'evaluate', epochs: 1, model: 'm', data: 'bundled:everyday' };
const mistakesOf = (change: object) =>
  runConfigMistakes({ ...run, ...change }).map(({ path, message }) => `${path.join('.')}: ${message}`);

it('an evaluation by log-probs names a set that there is, and a template that can be filled in', () => {
  expect(mistakesOf({})).toEqual([]);
  expect(mistakesOf({ data: 'bundled:mmlu' })).toEqual([
    "data: expected bundled, or bundled:NAME with one of the names everyday, misconceptions, pairs, got 'bundled:mmlu'",
  ]);
  for (const template of ['{question}', '{choice} {question}', '{question} {question} {choice}'])
    expect(mistakesOf({ template })).toEqual([
      `template: expected a text with {question}, and at its end {choice}, got '${template}'`,
    ]);
});
