import { type FrontierPoint, frontierPart, pathChart } from 'rlhf-streams';
import { judged, offPolicy, SAMPLING } from '../base.js';
import { atEqualReward, failures, type Part, size } from '../part.js';

/** Reward for each token, which the judge of the comparisons adds: long completions win, whatever they say. */
const LENGTH_WEIGHT = 0.3;
const proxyOf = ({ reward, length }: FrontierPoint): number => reward + LENGTH_WEIGHT * length;

export const length: Part = {
  name: 'length',
  title: 'Length against reward: DPO and R-DPO',
  text: `Reward hacking by length (Park et al. 2024). The bundled reviews have no length to hack, so that the judge of the comparisons is the gold reward plus ${LENGTH_WEIGHT} for each token: a policy that only writes more raises this proxy while the gold reward does not follow. R-DPO's alpha takes length out of the implicit reward. Lengths are compared at equal reward, interpolated where both were measured.`,
  async answer(study, { sweep }) {
    const results = await sweep({
      frontier: 'study-length',
      seeds: [...study.seeds],
      runs: [
        {
          run: 'study-length-comparisons',
          method: 'sample',
          model: 'run:sft',
          prompts: 'bundled',
          scorers: [
            { scorer: 'gold:bundled', weight: 1 },
            { rule: { length: { unit: 'tokens' } }, weight: LENGTH_WEIGHT, name: 'length' },
          ],
          rank: true,
          steps: size(study, 20, 2),
          batchSize: 64,
          samplesPerPrompt: 4,
          sampling: SAMPLING,
        },
      ],
      members: {
        dpo: {
          run: { ...offPolicy(study, 'dpo'), data: 'run:study-length-comparisons', dpo: { beta: 0.1 } },
        },
        'r-dpo': {
          run: { ...offPolicy(study, 'dpo'), data: 'run:study-length-comparisons', dpo: { beta: 0.1 } },
          sweep: { 'dpo.alpha': study.short ? [0.05] : [0.02, 0.05] },
        },
      },
      evaluate: judged(study, size(study, 12, 4)),
    });
    const { points } = results;
    const members = ['r-dpo', 'dpo'] as const;
    const gold = atEqualReward(points, members, (point) => point.length);
    const proxy = atEqualReward(points, members, (point) => point.length, proxyOf);
    const goldAtProxy = atEqualReward(points, members, (point) => point.reward, proxyOf);
    const { tables = [] } = frontierPart(results);
    return {
      result: `Tokens of a completion at equal gold reward: ${gold.sentence}`,
      tables: [
        {
          title: 'R-DPO beside DPO',
          head: ['compared', 'R-DPO', 'DPO', 'difference', 'over'],
          rows: [
            ['length at equal gold reward', ...gold.row.slice(1)],
            ['length at equal proxy', ...proxy.row.slice(1)],
            ['gold reward at equal proxy', ...goldAtProxy.row.slice(1)],
          ],
        },
        ...tables.slice(1, 3),
        ...failures(results.failed),
      ],
      charts: [
        ...['dpo', 'r-dpo'].map((member) =>
          pathChart(results, member, {
            x: 'length',
            y: 'reward',
            title: `${member}: gold reward against length over training`,
          }),
        ),
        {
          title: 'Proxy and gold reward over training',
          note: 'means over seeds; the judge of the comparisons is the proxy',
          x: 'steps of training',
          y: 'reward of held-out prompts (mean of completions)',
          series: ['dpo', 'r-dpo'].flatMap((member) => [
            { name: `${member}: proxy`, points: meansBySteps(points, member, proxyOf) },
            { name: `${member}: gold`, points: meansBySteps(points, member, ({ reward }) => reward) },
          ]),
        },
      ],
    };
  },
};

function meansBySteps(
  points: readonly FrontierPoint[],
  member: string,
  of: (point: FrontierPoint) => number,
) {
  const own = points.filter((point) => point.member === member);
  return [...new Set(own.map(({ step }) => step))].map((step) => {
    const values = own.filter((point) => point.step === step).map(of);
    return { x: step, y: values.reduce((a, b) => a + b) / values.length };
  });
}
