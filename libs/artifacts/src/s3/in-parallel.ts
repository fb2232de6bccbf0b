import { linked } from '@rlhf-streams/waiting';

/**
 * Runs `work` for every item, `limit` at a time; an item is taken when its turn comes. When one fails, the signal
 * of the others aborts, they are awaited (p-map leaves them behind, at work on files that the caller closes), and the
 * first error is thrown.
 */
export async function inParallel<T>(
  items: Iterable<T> | AsyncIterable<T>,
  limit: number,
  signal: AbortSignal,
  work: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const failed = new AbortController();
  const either = linked(signal, failed.signal);
  const errors: unknown[] = [];
  const queue = (async function* () {
    yield* items;
  })();
  const worker = async () => {
    try {
      for await (const item of queue) {
        either.signal.throwIfAborted();
        await work(item, either.signal);
      }
    } catch (error) {
      errors.push(error);
      failed.abort(error);
    }
  };
  await Promise.all(Array.from({ length: limit }, worker));
  either.release();
  if (errors.length > 0) throw errors[0];
}
