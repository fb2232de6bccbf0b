import { openToLook, type Where } from '../place/where.js';
import { cancelRun } from '../runs/request-run.js';

export interface CancelOptions extends Pick<Where, 'directory' | 'brokers'> {
  readonly reason?: string;
}

/**
 * Ends a run for good, one too that nobody works for now: without it, whoever starts services on its log goes on with it.
 * @throws CliError CLI_NOTHING_THERE for a log that is not there; ProblemError with the gateway's code.
 */
export async function cancel(run: string, { reason, ...where }: CancelOptions): Promise<void> {
  const client = await openToLook(where);
  try {
    await cancelRun(client, run, reason);
    console.log(`run ${run} is cancelled`);
  } finally {
    await client.close();
  }
}
