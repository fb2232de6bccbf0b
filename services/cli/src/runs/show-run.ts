import type { RunConfig, RunConfigInput } from '@rlhf-streams/runs';
import type { Client } from '../place/client.js';
import { followRun, requestRun } from './follow-run.js';
import { progressLine } from './progress.js';

/** Requests a run, unless the log has it, and shows its progress under `label` until it has completed. */
export async function showRun(
  client: Pick<Client, 'request' | 'failed' | 'troubles'>,
  config: RunConfig | RunConfigInput,
  label: string,
  signal: AbortSignal,
): Promise<void> {
  const line = progressLine({ label, method: config.method, steps: config.steps });
  try {
    await requestRun(client, config, signal);
    await followRun(client, config.run, line, signal);
    line.done();
  } catch (error) {
    if (signal.aborted) line.leave();
    else line.abandon();
    throw error;
  }
}
