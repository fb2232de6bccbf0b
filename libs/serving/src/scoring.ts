/** Models that score whole sequences, in compute threads: what a reward model and a reference have in common. */
import { type SequenceItem, scoringRows } from '@rlhf-streams/model';
import type { Tokenizer } from '@rlhf-streams/model/tokenizer';
import type { ServiceContext } from '@rlhf-streams/service';
import { batched } from './batched.js';
import { type ComputeThreads, startComputeThreads } from './compute-threads.js';
import { tokenizerIn } from './model-folders.js';
import type { ModelHostOptions } from './model-host.js';
import { type ScoringSettings, scoringThreads } from './settings.js';
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

/** Starts threads that call `serveScoring`. Resolves to how a `ModelHost` loads models into them. */
export async function startScoring<Item extends SequenceItem, Result>(
  context: ServiceContext<ScoringSettings>,
  url: URL,
): Promise<Required<Pick<ModelHostOptions<SequenceScorer<Item, Result>>, 'load' | 'unload'>>> {
  const count = scoringThreads(context.settings);
  const threads = await startComputeThreads<ScoringThread<Item, Result>>(context, url, { count });
  return {
    async load({ key, ref, folders }) {
      const contextLength = await threads.load({ key, folders, baseHash: ref.base.sha256, frozen: true });
      const score = batched(
        (items: readonly Item[]) => scoreTogether(threads, { key, items, count }),
        ({ tokens }) => tokens.length === 0 || tokens.length > contextLength,
      );
      return { score, tokenizer: await tokenizerIn(folders) };
    },
    unload: threads.unload,
  };
}

/** Scores each share of the items in a thread of its own. */
async function scoreTogether<Item extends SequenceItem, Result>(
  threads: ComputeThreads<ScoringThread<Item, Result>>,
  { key, items, count }: { readonly key: string; readonly items: readonly Item[]; readonly count: number },
): Promise<Result[]> {
  const results: Result[] = [];
  const scoring = sharesOf(items, count).map(async (share) => {
    const scored = await threads.compute((thread) =>
      thread.score(
        key,
        share.map((index) => items[index]!),
      ),
    );
    share.forEach((index, i) => {
      results[index] = scored[i]!;
    });
  });
  await Promise.all(scoring);
  return results;
}

/**
 * Cuts items into at most `most` shares that take about as long, as lists of indices. Those of similar lengths stay together,
 * because a program computes them together, and there are no more shares than programs would be run.
 * @internal
 */
export function sharesOf(items: readonly SequenceItem[], most: number): number[][] {
  const lengthOf = (index: number) => items[index]!.tokens.length;
  const byLength = [...items.keys()].sort((a, b) => lengthOf(a) - lengthOf(b));
  const together = Math.max(...scoringRows(lengthOf(byLength.at(-1)!)));
  const count = Math.min(most, Math.ceil(items.length / together));
  const total = Math.max(
    1,
    items.reduce((sum, { tokens }) => sum + tokens.length, 0),
  );
  const shares = Array.from({ length: count }, (): number[] => []);
  let before = 0;
  for (const index of byLength) {
    shares[Math.floor((count * before) / total)]!.push(index);
    before += lengthOf(index);
  }
  return shares.filter((share) => share.length > 0);
}
