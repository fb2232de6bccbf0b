/** The reward service's compute thread: reward models in memory. */
import { rewardScorer } from '@rlhf-streams/model';
import { serveScoring } from '@rlhf-streams/serving/thread';

await serveScoring({ role: 'scorer', kind: 'reward model', create: rewardScorer });
