import type { PolicySummary } from '@rlhf-streams/evaluation';

export interface Verdict {
  readonly ok: boolean;
  readonly text: string;
}

/** Alignment worked if PPO and DPO both raised the gold reward over SFT, beyond their 95 % intervals. */
export function verdictOf(policies: readonly PolicySummary[]): Verdict {
  const [baseline, ...aligned] = policies as [PolicySummary, ...PolicySummary[]];
  const failed = aligned.filter(({ gold }) => !(gold.low > baseline.gold.high));
  if (failed.length === 0) {
    const gains = aligned.map(
      ({ name, gold }) => `${name} by ${(gold.mean - baseline.gold.mean).toFixed(2)}`,
    );
    return {
      ok: true,
      text: `${gains.join(' and ')} above ${baseline.name} in gold reward, their 95 % intervals apart.`,
    };
  }
  const names = failed.map(({ name }) => name).join(' and ');
  return {
    ok: false,
    text: `${names} did not raise the gold reward clearly above ${baseline.name}: the 95 % intervals meet.`,
  };
}
