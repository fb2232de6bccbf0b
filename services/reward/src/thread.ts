/** The reward service's compute thread: reward models in memory. */
import { rewardScorer } from '@rlhf-streams/model';
import { type SequenceItem, serveScoring } from '@rlhf-streams/serving/thread';

await serveScoring<SequenceItem, number>({
  role: 'scorer',
  kind: 'reward model',
  create: (engine, config) => {
    const scorer = rewardScorer(engine, config);
    return (parameters, items) =>
      scorer.score(
        parameters,
        items.map(({ tokens }) => tokens),
      );
  },
});
