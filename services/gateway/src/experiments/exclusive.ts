/** What is decided by the runs there are, and changes several of them: one gateway does it at a time. */
import { codeOf, type Events, type TransactionalEvents } from '@rlhf-streams/bus';
import type { RunView } from '@rlhf-streams/runs';
import { retry } from '@rlhf-streams/waiting';
import pLimit from 'p-limit';
import type { RunsContext } from '../runs/context.js';

/** The one writer of all gateways: whoever opens it fences those who have it open. */
const WRITER = 'gateway/experiments';
const FENCED_PAUSE_MS = 20;

/**
 * Does `work` while no other gateway does such work, with the runs as the log has them: what it publishes in one go is
 * published whole or not at all, and by nobody who decided by fewer runs. Where another gateway comes between, it is
 * done again.
 */
export type Exclusive = <T>(
  work: (runs: ReadonlyMap<string, RunView>, publish: TransactionalEvents['publish']) => Promise<T>,
  signal: AbortSignal,
) => Promise<T>;

export function createExclusive({
  events,
  newestRuns,
}: { readonly events: Pick<Events, 'transactional'> } & Pick<RunsContext, 'newestRuns'>): Exclusive {
  // Requests to this gateway take turns: they would only fence each other.
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
