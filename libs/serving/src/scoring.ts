/** Models that score whole sequences, in a compute thread: what a reward model and a reference have in common. */
import type { SequenceItem } from '@rlhf-streams/model';
import type { Tokenizer } from '@rlhf-streams/model/tokenizer';
import type { ServiceContext } from '@rlhf-streams/service';
import { batched } from './batched.js';
import { startComputeThreads } from './compute-threads.js';
import { tokenizerIn } from './model-folders.js';
import type { ModelHostOptions } from './model-host.js';
import type { ComputeSettings } from './settings.js';
import type { ScoringThread } from './thread/scoring.js';

/** A loaded model. */
export interface SequenceScorer<Item extends SequenceItem, Result> {
  /**
   * Scores an item together with those asked for at the same time, which do not change its bits.
   * @throws ModelError MODEL_SEQUENCE_LENGTH when the model cannot read a sequence of that length.
   */
  readonly score: (item: Item) => Promise<Result>;
  /** The model's own tokenizer; undefined when the model came without a tokenizer.json. */
  readonly tokenizer: Tokenizer | undefined;
}

/** Starts a thread that calls `serveScoring`. Resolves to how a `ModelHost` loads models into it. */
export async function startScoring<Item extends SequenceItem, Result>(
  context: ServiceContext<ComputeSettings>,
  url: URL,
): Promise<Required<Pick<ModelHostOptions<SequenceScorer<Item, Result>>, 'load' | 'unload'>>> {
  const threads = await startComputeThreads<ScoringThread<Item, Result>>(context, url, { count: 1 });
  return {
    async load({ key, ref, folders }) {
      const contextLength = await threads.load({ key, folders, baseHash: ref.base.sha256, frozen: true });
      const score = batched(
        (items: readonly Item[]) => threads.compute((thread) => thread.score(key, items)),
        ({ tokens }) => tokens.length === 0 || tokens.length > contextLength,
      );
      return { score, tokenizer: await tokenizerIn(folders) };
    },
    unload: threads.unload,
  };
}
