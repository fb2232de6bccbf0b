import { frontierPart } from 'rlhf-streams';
import { judged, offPolicy } from '../base.js';
import { atEqualReward, type Part, size } from '../part.js';

export const rankings: Part = {
  name: 'rankings',
  title: 'Rankings of four: PRO and DPO on their pairs',
  text: 'PRO (Song et al. 2024) learns from each ranking as a whole, DPO from all of its pairs. Both start from the SFT policy and see the same rankings of four completions, as often. PRO has no reference: nothing but its SFT term holds it back.',
  async answer(study, { sweep }) {
    const results = await sweep({
      frontier: 'study-rankings',
      seeds: [...study.seeds],
      members: {
        pro: { run: offPolicy(study, 'pro'), sweep: { 'pro.sftCoef': study.short ? [0.5] : [0.05, 0.5] } },
        dpo: {
          run: { ...offPolicy(study, 'dpo'), dpo: { pairs: 'all' } },
          sweep: { 'dpo.beta': study.short ? [0.1] : [0.1, 0.3] },
        },
      },
      evaluate: judged(study, size(study, 24, 4)),
    });
    const { title: _, text: __, tables = [], charts = [] } = frontierPart(results);
    const kl = atEqualReward(results.points, ['pro', 'dpo'], (point) => point.kl);
    const [best] = results.fronts.toSorted((a, b) => bestReward(b) - bestReward(a));
    return {
      result: `${best ? `The best mean reward is that of ${best.member}, ${bestReward(best).toFixed(2).replace('-', '\u2212')}. ` : ''}Nats of KL at equal reward: ${kl.sentence}`,
      tables: [
        { head: ['KL at equal reward', 'PRO', 'DPO', 'difference', 'over'], rows: [kl.row] },
        ...tables,
      ],
      charts,
    };
  },
};

const bestReward = ({
  points,
}: {
  readonly points: readonly { readonly reward: { readonly mean: number } }[];
}): number => points.at(-1)?.reward.mean ?? Number.NEGATIVE_INFINITY;
