import type { Projection } from '@rlhf-streams/bus';
import type { LogprobItem } from '@rlhf-streams/model';
import { isInUse, type RunView } from '@rlhf-streams/runs';
import type { ServiceContext } from '@rlhf-streams/service';
import {
  createModelHost,
  type ModelHost,
  type ScoringSettings,
  type SequenceScorer,
  startScoring,
} from '@rlhf-streams/serving';

/** Gives the log-probs of tokens 1 .. length - 1 of a sequence, at a temperature. */
export type Reference = SequenceScorer<LogprobItem, Float32Array>;

/** References by the model that each is. */
export type References = ModelHost<Reference>;

/** Frozen models in compute threads. */
export async function createReferences(
  context: ServiceContext<ScoringSettings>,
  runs: Projection<RunView>,
): Promise<References> {
  const url = new URL('./thread.js', import.meta.url);
  return createModelHost(context, {
    what: 'reference',
    ...(await startScoring<LogprobItem, Float32Array>(context, url)),
    isWanted: (model) => isInUse(runs.state, model),
  });
}
