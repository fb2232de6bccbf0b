import type { RunConfig, RunConfigInput } from '@rlhf-streams/runs';
import type { Client } from '../place/client.js';
import { followRun } from './follow-run.js';
import { type ProgressLine, progressLine } from './progress.js';
import { requestRun } from './request-run.js';

/** What is asked of a client to show runs. */
export type ShowingClient = Pick<Client, 'request' | 'failed' | 'troubles'>;

/** Requests a run, unless the log has it, and shows its progress under `label` until it has completed. */
export async function showRun(
  client: ShowingClient,
  config: RunConfig | RunConfigInput,
  label: string,
  signal: AbortSignal,
): Promise<void> {
  const line = progressLine({ label, method: config.method, steps: config.steps });
  await toItsEnd(line, signal, async () => {
    await requestRun(client, config, signal);
    await followRun(client, config.run, line, signal);
  });
}

/** Marks the line by how the work ends. */
export async function toItsEnd(
  line: ProgressLine,
  signal: AbortSignal,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
    line.done();
  } catch (error) {
    if (signal.aborted) line.leave();
    else line.abandon();
    throw error;
  }
}
