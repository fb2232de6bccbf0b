import { frontierPart } from 'rlhf-streams';
import { judged, offPolicy, onPolicy } from '../base.js';
import { type Part, size } from '../part.js';

export const frontier: Part = {
  name: 'frontier',
  title: 'Reward against KL: PPO and DPO',
  text: 'The experiment of the DPO paper (Rafailov et al. 2023, figure 2 left): the gold reward, which no policy is trained on, against the KL from the SFT policy, over coefficients, steps and seeds. The paper finds that DPO reaches more reward at every KL, also than PPO with the gold reward.',
  async answer(study, { sweep }) {
    const results = await sweep({
      frontier: 'study-frontier',
      seeds: [...study.seeds],
      members: {
        ppo: {
          run: { ...onPolicy(study, 'ppo'), ppo: { numPpoEpochs: 4, missingEosPenalty: 1 } },
          sweep: { 'ppo.klCoef': [0.01, 0.05, 0.2, 0.5] },
        },
        dpo: { run: offPolicy(study, 'dpo'), sweep: { 'dpo.beta': [0.05, 0.1, 0.3, 1] } },
      },
      evaluate: judged(study, size(study, 12, 4)),
    });
    const { title: _, text: __, ...part } = frontierPart(results);
    const [first, second] = results.fronts.toSorted((a, b) => b.area.mean - a.area.mean);
    const apart = first && second && first.area.low > second.area.high;
    return {
      ...part,
      ...(first &&
        second && {
          result: `${first.member} has the larger area under its front, ${first.area.mean.toFixed(2)} against ${second.area.mean.toFixed(2)} of ${second.member}${apart ? ', their intervals over seeds apart' : ', which the seeds do not tell apart'}.`,
        }),
    };
  },
};
