import fc from 'fast-check';
import { expect, test } from 'vitest';
import { policyTable, samplesInWords } from './tables.js';

const estimate = (mean: number, half: number) => ({ mean, low: mean - half, high: mean + half, n: 100 });
const sft = {
  name: 'SFT',
  gold: estimate(-0.021, 0.231),
  score: estimate(-0.2, 0.3),
  kl: estimate(0, 0),
  length: estimate(23.8, 0.4),
};
const ppo = {
  name: 'PPO',
  gold: estimate(1.79, 0.12),
  score: estimate(1.76, 0.17),
  kl: estimate(14.02, 0.44),
  winRate: { mean: 0.8, low: 0.75, high: 0.85, n: 100 },
  length: estimate(25.31, 0.4),
};

test('columns line up, with one number of decimals each', () => {
  expect(policyTable([sft, ppo]).split('\n')).toEqual([
    'policy   gold reward  reward score  KL to reference  win rate vs SFT      length',
    '-'.repeat(80),
    'SFT     -0.02 ± 0.23  -0.20 ± 0.30        0.0 ± 0.0                -  23.8 ± 0.4',
    'PPO      1.79 ± 0.12   1.76 ± 0.17       14.0 ± 0.4    80 % [75, 85]  25.3 ± 0.4',
  ]);
});

test('an interval that is not symmetric is given by its ends, an unknown one not at all', () => {
  const table = policyTable([
    {
      ...ppo,
      gold: { mean: 1, low: 0.5, high: 3, n: 9 },
      kl: { mean: 2, low: -Infinity, high: Infinity, n: 1 },
    },
  ]);
  expect(table).toContain('1.00 [0.50, 3.00]');
  expect(table).toMatch(/ 2\.00 {3,}80 %/);
});

test('what no font shows is a question mark', () => {
  const samples = [
    { prompt: 'a\uFFFD', completions: [{ policy: 'PPO', text: ' b\uFFFD\uFFFD\uE000 c\u0007d' }] },
  ];
  expect(samplesInWords(samples)).toMatch(/^a\?\n {2}PPO +b\?\?\? c d$/);
});

test('no line is wider than 110 columns', () => {
  const number = fc.double({ min: -99_999, max: 99_999, noNaN: true });
  const any = fc
    .tuple(number, fc.double({ min: 0, max: 999, noNaN: true }))
    .map(([m, half]) => estimate(m, half));
  const policy = fc.record({
    name: fc.string({ maxLength: 60 }),
    gold: any,
    score: any,
    kl: any,
    length: any,
    winRate: fc.constant(ppo.winRate),
  });
  const text = fc.string({ unit: fc.constantFrom('a', 'word', ' ', '\n', '\u001b[2J'), maxLength: 200 });
  fc.assert(
    fc.property(
      fc.array(policy, { maxLength: 5 }),
      text,
      fc.string({ maxLength: 150 }),
      (policies, text, name) => {
        const samples = samplesInWords([{ prompt: text, completions: [{ policy: name, text, gold: 1 }] }]);
        for (const line of [...policyTable(policies).split('\n'), ...samples.split('\n')]) {
          expect(line.length).toBeLessThanOrEqual(110);
        }
      },
    ),
  );
});

test('samples are listed under their prompt, their gold reward beside them', () => {
  const samples = [
    {
      prompt: 'the film',
      completions: [
        { policy: 'SFT', text: ' is\na film .', gold: -0.25 },
        { policy: 'PPO', text: '', gold: 1.5 },
      ],
    },
    { prompt: 'one', completions: [{ policy: 'PPO', text: 'two' }] },
  ];
  expect(samplesInWords(samples)).toBe(
    [
      'the film',
      '  SFT   -0.25  is a film .',
      '  PPO   +1.50  (empty)',
      '',
      'one',
      '  PPO          two',
    ].join('\n'),
  );
});

test('a completion cannot steer the terminal', () => {
  const text = 'x\u001b[2J\u0007\u009b31m\u202ey\r\u2028z';
  const printed = samplesInWords([{ prompt: text, completions: [{ policy: text, text, gold: 1 }] }]);
  expect(printed).not.toMatch(/[\p{Cf}\p{Zl}\p{Zp}]|(?!\n)\p{Cc}/u);
});
