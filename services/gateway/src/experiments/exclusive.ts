/** Lets one gateway at a time decide by the runs that exist, and change several of them. */
import { codeOf, type Events, type TransactionalEvents } from '@rlhf-streams/bus';
import type { RunView } from '@rlhf-streams/runs';
import { retry } from '@rlhf-streams/waiting';
import pLimit from 'p-limit';
import type { RunsContext } from '../runs/context.js';

/** The one writer of all gateways: whoever opens it fences those who have it open. */
const WRITER = 'gateway/experiments';
const FENCED_PAUSE_MS = 20;

/**
 * Does `work` with the runs as the log has them. What it publishes in one call is one transaction, which fails when another
 * gateway has begun such work since: then `work` is done again, with the runs that the other one made.
 */
export type Exclusive = <T>(
  work: (runs: ReadonlyMap<string, RunView>, publish: TransactionalEvents['publish']) => Promise<T>,
  signal: AbortSignal,
) => Promise<T>;

export function createExclusive({
  events,
  newestRuns,
}: { readonly events: Pick<Events, 'transactional'> } & Pick<RunsContext, 'newestRuns'>): Exclusive {
  // Requests to this gateway take turns, because they would fence each other.
  const turns = pLimit(1);
  return (work, signal) => {
    const once = async () => {
      signal.throwIfAborted();
      const writer = await events.transactional(WRITER);
      try {
        return await work(await newestRuns(signal), (published) => {
          signal.throwIfAborted();
          return writer.publish(published);
        });
      } finally {
        await writer.close();
      }
    };
    const shouldRetry = (error: Error) => codeOf(error) === 'LOG_FENCED';
    return turns(() => retry(once, { shouldRetry, minDelayMs: FENCED_PAUSE_MS, signal }));
  };
}
