import { expect, it } from 'vitest';
import { verdictOf } from './verdict.js';

const policy = (name: string, mean: number, half: number) => {
  const estimate = { mean, low: mean - half, high: mean + half, n: 100 };
  return { name, gold: estimate, score: estimate, kl: estimate, length: estimate };
};
const sft = policy('SFT', 0, 0.2);

it('is good when every interval lies above that of SFT', () => {
  const verdict = verdictOf([sft, policy('PPO', 1.5, 0.3), policy('DPO', 0.75, 0.3)]);
  expect(verdict).toEqual({
    ok: true,
    text: 'PPO by 1.50 and DPO by 0.75 above SFT in gold reward, their 95 % intervals apart.',
  });
});

it.each([
  ['intervals meet', policy('DPO', 0.4, 0.2), ['DPO']],
  ['a policy got worse', policy('DPO', -3, 0.1), ['DPO']],
  ['an interval is unknown', policy('DPO', 5, Number.NaN), ['DPO']],
])('is bad when %s, and says whose', (_, dpo, names) => {
  const verdict = verdictOf([sft, policy('PPO', 1.5, 0.3), dpo]);
  expect(verdict.ok).toBe(false);
  expect(verdict.text).toMatch(new RegExp(`^${names.join(' and ')} did not raise the gold reward`));
  expect(verdictOf([sft, dpo, dpo]).text).toMatch(/^DPO and DPO did not/);
});
