import { describe, expect, it } from 'vitest';
import { winRate } from '../win-rate.js';
import { evaluationCsv } from './csv.js';
import { differences, measure } from './measure.js';
import { evaluationTables } from './tables.js';
import { type JudgedPair, judgeAgreements, measureWins } from './win-rates.js';

const about = { suite: 's', kind: 'scores', measure: 'score', unit: 'score', policy: 'ppo' } as const;
const options = { seed: 0, slices: ['language', 'use'] };

describe('measure', () => {
  it('measures all items, and those of each value of each field', () => {
    const observations = [
      { item: '1', value: 1, fields: { language: 'en' } },
      { item: '2', value: 0, fields: { language: 'de', use: ['a'] } },
      { item: '3', value: 1, fields: { language: 'de', use: null } },
      { item: '4', value: 1 },
    ];
    const found = measure({ ...about, unit: 'share' }, observations, options);
    expect(found.map(({ slice, estimate }) => [slice, estimate.mean, estimate.n])).toEqual([
      [undefined, 0.75, 4],
      [{ field: 'language', value: 'de' }, 0.5, 2],
      [{ field: 'language', value: 'en' }, 1, 1],
      [{ field: 'use', value: '["a"]' }, 0, 1],
    ]);
    expect(measure(about, [], options)).toEqual([]);
  });

  it('takes differences over the items that both were measured on', () => {
    const before = [
      { item: '1', value: 1 },
      { item: '2', value: 5 },
    ];
    const after = [
      { item: '2', value: 7 },
      { item: '3', value: 100 },
    ];
    const [difference] = differences({ ...about, against: 'sft' }, after, before, { seed: 0 });
    expect(difference!.estimate).toEqual({ mean: 2, low: 2, high: 2, n: 1 });
  });
});

describe('win rates', () => {
  const pair = (item: number, outcome: JudgedPair['outcome'], consistent?: boolean): JudgedPair => ({
    item: String(item),
    outcome,
    lengthA: item,
    lengthB: 2 * item,
    ...(consistent !== undefined && { consistent }),
    fields: { use: item % 2 === 0 ? 'even' : 'odd' },
  });
  const won = { suite: 's', policy: 'ppo', against: 'sft', by: 'gold' };

  it('are those of the same scores', () => {
    const pairs = [pair(1, 'a'), pair(2, 'b'), pair(3, 'tie'), pair(4, 'a')];
    const [overall, controlled, even] = measureWins(won, pairs, { seed: 0, slices: ['use'] });
    const { wins, ties, losses, ...estimate } = winRate([
      { a: 1, b: 0 },
      { a: 0, b: 1 },
      { a: 0, b: 0 },
      { a: 2, b: 1 },
    ]);
    expect(overall).toMatchObject({ measure: 'win_rate', estimate, counts: { wins, ties, losses } });
    expect(controlled).toMatchObject({ measure: 'length_controlled_win_rate', estimate: { n: 4 } });
    expect(even).toMatchObject({ slice: { field: 'use', value: 'even' }, estimate: { mean: 0.5, n: 2 } });
  });

  it('tell how many verdicts a swap did not change, and leave out what length cannot be told from', () => {
    const found = measureWins(won, [pair(1, 'a', true)], { seed: 0 });
    expect(found.map(({ measure, estimate }) => [measure, estimate.mean])).toEqual([
      ['win_rate', 1],
      ['order_consistency', 1],
    ]);
  });

  it('compare judges on the pairs that both judged', () => {
    const gold = [pair(1, 'a'), pair(2, 'b'), pair(3, 'a')];
    const people = [pair(2, 'b'), pair(3, 'b'), pair(9, 'a')];
    const [found, ...others] = judgeAgreements(won, { gold, people, nobody: [] }, {});
    expect(others).toEqual([]);
    expect(found).toMatchObject({ between: ['gold', 'people'], share: { mean: 0.5, n: 2 }, kappa: 0 });
  });

  it('compare judges on the pairs of each slice', () => {
    const gold = [pair(1, 'a'), pair(2, 'b'), pair(3, 'a'), pair(4, 'a')];
    const people = [pair(1, 'a'), pair(2, 'b'), pair(3, 'b'), pair(4, 'b'), pair(9, 'a')];
    const found = judgeAgreements(won, { gold, people }, { slices: ['use'] });
    expect(found.map(({ slice, share, kappa }) => [slice?.value, share.mean, share.n, kappa])).toEqual([
      // Gold says a of three in four, people of one: chance is 3/4 * 1/4 + 1/4 * 3/4 = 3/8. (1/2 - 3/8) / (5/8) = 1/5.
      [undefined, 0.5, 4, expect.closeTo(0.2, 12)],
      ['even', 0.5, 2, 0],
      ['odd', 0.5, 2, 0],
    ]);
  });
});

const estimate = { mean: 0.5, low: Number.NEGATIVE_INFINITY, high: 1, n: 2 };
const agreed = { suite: 's', policy: 'ppo', against: 'sft', between: ['gold', 'llm'] as const };
const share = { mean: 0.75, low: 0.5, high: 1, n: 4 };
const evaluation = {
  ...{ name: 'e', policies: ['ppo', 'sft'], baseline: 'sft', failures: [] },
  measurements: [{ ...about, slice: { field: 'use', value: 'a "b", c' }, estimate }],
  differences: [
    { ...about, against: 'sft', estimate },
    {
      ...about,
      against: 'sft',
      slice: { field: 'use', value: 'chat' },
      estimate: { ...estimate, low: 0.25 },
    },
  ],
  agreements: [
    { ...agreed, share, kappa: 0.5 },
    { ...agreed, slice: { field: 'use', value: 'chat' }, share, kappa: Number.NaN },
  ],
};

it('writes every number as a line of .csv', () => {
  expect(evaluationCsv(evaluation).split('\r\n')).toEqual([
    'suite,kind,measure,by,policy,against,field,value,mean,low,high,bootstrap_low,bootstrap_high,n,wins,ties,losses,kappa',
    's,scores,score,,ppo,,use,"a ""b"", c",0.5,,1,,,2,,,,',
    's,scores,difference score,,ppo,sft,,,0.5,,1,,,2,,,,',
    's,scores,difference score,,ppo,sft,use,chat,0.5,0.25,1,,,2,,,,',
    's,win_rate,agreement,"gold, llm",ppo,sft,,,0.75,0.5,1,,,4,,,,0.5',
    's,win_rate,agreement,"gold, llm",ppo,sft,use,chat,0.75,0.5,1,,,4,,,,',
    '',
  ]);
});

it('shows differences and agreements of all items, and of the slices that were asked for', () => {
  const tables = evaluationTables(evaluation);
  expect(tables.map(({ title, rows }) => [title, ...rows])).toEqual([
    ['s, by use', ['a "b", c: score', '0.50', '-', '2']],
    ['Differences from sft', ['s: score', '+0.50']],
    ['Differences from sft, by use', ['s: chat: score', '+0.50 [0.25, 1.00] *']],
    ['Agreement between judges', ['s', 'ppo, sft', 'gold, llm', '75 % [50, 100]', '0.50', '4']],
    [
      'Agreement between judges, by use',
      ['s', 'ppo, sft', 'gold, llm', 'chat', '75 % [50, 100]', 'n/a', '4'],
    ],
  ]);
  for (const { head, rows } of tables) for (const row of rows) expect(row).toHaveLength(head.length);
});
