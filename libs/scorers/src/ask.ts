/** How scorers that are not ours are asked: completions that come together go in one request. */
import DataLoader from 'dataloader';
import type { Answer, ScorerItem } from './answer.js';
import { ScorerError, type ScorerErrorCode } from './errors.js';

/** A completion with an id that is the same wherever the completion and its prompt are. */
export type IdentifiedItem = ScorerItem & { readonly id: string };

/**
 * One answer for each item, in their order.
 * @throws ScorerError where there is none for the whole batch
 */
export type AskScorer = (items: readonly IdentifiedItem[]) => Promise<readonly Answer[]>;

/** Failures that one completion may have brought upon those it was asked with. */
const ITS_OWN: ReadonlySet<ScorerErrorCode> = new Set([
  'SCORER_REFUSED',
  'SCORER_FAILED',
  'SCORER_TIMEOUT',
  'SCORER_MISALIGNED',
  'SCORER_ANSWER',
]);

/**
 * Asks for completions that come at the same time together, `batchSize` of them at most. Where a batch fails, each of its
 * completions is asked for once more by itself, so that it fails alone.
 * @param alone asks for one, with fewer attempts than `ask` may make
 */
export function inBatches(
  ask: AskScorer,
  { batchSize, alone = ask }: { readonly batchSize: number; readonly alone?: AskScorer },
): (item: IdentifiedItem) => Promise<Answer> {
  const askTogether = async (items: readonly IdentifiedItem[]): Promise<(Answer | Error)[]> => {
    try {
      return [...(await ask(items))];
    } catch (error) {
      if (items.length === 1 || !(error instanceof ScorerError && ITS_OWN.has(error.code))) throw error;
      return Promise.all(items.map((item) => alone([item]).then(([answer]) => answer!, asError)));
    }
  };
  // What a loader resolves to may be no error: that would be thrown.
  const batches = new DataLoader<IdentifiedItem, { readonly answer: Answer | Error }>(
    async (items) => (await askTogether(items)).map((answer) => ({ answer })),
    { cache: false, maxBatchSize: batchSize, batchScheduleFn: (dispatch) => setImmediate(dispatch) },
  );
  return async (item) => {
    const { answer } = await batches.load(item);
    if (answer instanceof Error && !(answer instanceof ScorerError)) throw answer;
    return answer as Answer;
  };
}

const asError = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(String(thrown)));
