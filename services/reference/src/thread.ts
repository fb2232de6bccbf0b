/** The reference service's compute thread: frozen language models in memory. */
import { logprobScorer } from '@rlhf-streams/model';
import { serveScoring } from '@rlhf-streams/serving/thread';

/** The result of an item: log-probs of tokens 1 .. length - 1. */
await serveScoring({ role: 'reference', kind: 'language model', create: logprobScorer });
