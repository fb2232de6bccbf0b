import { type FrontierPoint, frontierPart } from 'rlhf-streams';
import { judged, onPolicy } from '../base.js';
import { atEqualReward, failures, type Part, size } from '../part.js';
import { textLoss } from '../probes.js';

export const pretraining: Part = {
  name: 'pretraining',
  title: 'The alignment tax: PPO and PPO-ptx on held-out text',
  text: 'PPO forgets some of what the model was pretrained on; PPO-ptx (Ouyang et al. 2022, equation 2) goes on learning the texts beside. Measured is the mean log-loss of held-out review sentences, in nats per token, of versions of both, compared at equal gold reward.',
  async answer(study, { sweep, carry }) {
    const ppo = { ...onPolicy(study, 'ppo'), ppo: { klCoef: 0.01, missingEosPenalty: 1 } };
    const results = await sweep({
      frontier: 'study-ptx',
      seeds: [...study.seeds],
      members: {
        ppo: { run: ppo },
        'ppo-ptx': {
          run: { ...ppo, pretraining: 'bundled' },
          sweep: { 'ppo.ptxCoef': study.short ? [1] : [0.3, 2] },
        },
      },
      evaluate: judged(study, size(study, 6, 2)),
    });
    const { points } = results;
    const probe = ({ run, step }: FrontierPoint) => textLoss(`${run}.text-${step}`, `run:${run}@${step}`);
    const reference = textLoss('study-ptx.text-of-reference', 'run:sft');
    const { steps, failed } = await carry({
      experiment: 'study-ptx-text',
      first: [reference],
      members: points.map((point) => [probe(point)]),
    });
    const lossOf = (run: string) => steps.get(run)?.at(-1)?.metrics['eval/loss'];
    const compared = atEqualReward(points, ['ppo-ptx', 'ppo'], (point) => lossOf(probe(point).run));
    const { tables = [] } = frontierPart(results);
    const before = lossOf(reference.run);
    return {
      result: `Nats per token of held-out text at equal gold reward: ${compared.sentence}${before === undefined ? '' : ` The SFT policy has ${before.toFixed(3)}.`}`,
      tables: [
        { head: ['text loss at equal reward', 'PPO-ptx', 'PPO', 'difference', 'over'], rows: [compared.row] },
        ...tables.slice(1, 3),
        ...failures([...results.failed, ...failed]),
      ],
      charts: [
        {
          title: 'Held-out text loss against gold reward',
          note: 'a point for each version and seed: down and to the right is better',
          x: 'gold reward of held-out prompts (mean of completions)',
          y: 'loss of held-out text (nats per token)',
          series: ['ppo', 'ppo-ptx'].map((member) => ({
            name: member,
            joined: 'none' as const,
            points: points.flatMap((point) => {
              const loss = point.member === member ? lossOf(probe(point).run) : undefined;
              return loss === undefined ? [] : [{ x: point.reward, y: loss }];
            }),
          })),
        },
      ],
    };
  },
};
