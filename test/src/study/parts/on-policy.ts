import { meanEstimate } from '@rlhf-streams/evaluation';
import { parseRunConfig } from '@rlhf-streams/runs';
import { written } from 'rlhf-streams';
import { onPolicy } from '../base.js';
import { failures, inProse, type Part, size } from '../part.js';

export const onPolicyMethods: Part = {
  name: 'on-policy',
  title: 'Policy gradients: reward over rollouts',
  text: 'The same reward model, KL coefficient and number of rollouts a step for each method; RLOO samples four completions of each of a quarter of the prompts; the value model of PPO-clip-shared is a head on the trunk of the policy, of the others a model of its own. Shown is the gold reward of the rollouts that they learn from, over the rollouts so far. PPO is said to be the steadiest: the table has the spread of seeds.',
  async answer(study, { carry }) {
    const klCoef = 0.05;
    const shared = { klCoef, missingEosPenalty: 1 };
    const methods: Record<string, object> = {
      REINFORCE: { ...onPolicy(study, 'reinforce'), reinforce: { ...shared, baseline: 'batch_mean' } },
      RLOO: {
        ...onPolicy(study, 'reinforce'),
        batchSize: 16,
        samplesPerPrompt: 4,
        reinforce: { ...shared, baseline: 'leave_one_out' },
      },
      TRPO: { ...onPolicy(study, 'trpo'), trpo: { ...shared, delta: 0.01 } },
      'PPO-penalty': { ...onPolicy(study, 'ppo'), ppo: { ...shared, objective: 'penalty' } },
      'PPO-clip': { ...onPolicy(study, 'ppo'), ppo: shared },
      'PPO-clip-shared': { ...onPolicy(study, 'ppo'), ppo: shared, value: 'shared' },
    };
    const runOf = (method: string, seed: number) => `study-on-policy.${method.toLowerCase()}.s${seed}`;
    const { steps, failed } = await carry({
      experiment: 'study-on-policy',
      first: [],
      members: Object.entries(methods).flatMap(([method, config]) =>
        study.seeds.map((seed) => [parseRunConfig({ ...config, run: runOf(method, seed), seed })]),
      ),
    });
    const rollouts = 64;
    const averaged = size(study, 3, 1);
    const rows = Object.keys(methods).map((method) => {
      const seeds = study.seeds.flatMap((seed) => {
        const found = steps.get(runOf(method, seed));
        return found && found.length > 0 ? [found] : [];
      });
      const last = (metric: string) =>
        seeds.map((each) => {
          const values = each.slice(-averaged).flatMap(({ metrics }) => metrics[metric] ?? []);
          return values.reduce((a, b) => a + b, 0) / values.length;
        });
      const pace = seeds.map((each) => {
        const [begun, ended] = [Date.parse(each[0]!.time), Date.parse(each.at(-1)!.time)];
        return (ended - begun) / 1000 / Math.max(1, each.length - 1);
      });
      return { method, seeds, gold: last('scores/gold'), kl: last('objective/kl'), pace };
    });
    const measured = rows.filter(({ gold }) => gold.length > 0 && gold.every(Number.isFinite));
    const best = measured.toSorted((a, b) => meanEstimate(b.gold).mean - meanEstimate(a.gold).mean)[0];
    return {
      ...(best && {
        result: `After ${rollouts * size(study, 24, 2)} rollouts ${best.method} has the highest gold reward, ${inProse(meanEstimate(best.gold))}.`,
      }),
      tables: [
        {
          title: `Means of the last ${averaged} steps`,
          head: ['method', 'gold reward', 'standard deviation over seeds', 'KL', 'seconds a step'],
          rows: measured.map(({ method, gold, kl, pace }) => [
            method,
            written(meanEstimate(gold)),
            gold.length > 1 ? deviation(gold).toFixed(2) : '',
            written(meanEstimate(kl)),
            meanEstimate(pace).mean.toFixed(2),
          ]),
        },
        ...failures(failed),
      ],
      charts: [
        {
          title: 'Gold reward over rollouts',
          note: 'means over seeds; bars: their range, at every third step',
          x: 'rollouts',
          y: 'gold reward of the rollouts (mean of a step)',
          series: measured.map(({ method, seeds }) => ({
            name: method,
            points: seeds[0]!.flatMap(({ step }, index) => {
              const values = seeds.flatMap((each) => each[index]?.metrics['scores/gold'] ?? []);
              if (values.length === 0 || (index % 3 !== 2 && index > 0)) return [];
              return [
                {
                  x: (step + 1) * rollouts,
                  y: values.reduce((a, b) => a + b) / values.length,
                  yRange: [Math.min(...values), Math.max(...values)] as const,
                },
              ];
            }),
          })),
        },
      ],
    };
  },
};

function deviation(values: readonly number[]): number {
  const mean = values.reduce((a, b) => a + b) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
}
