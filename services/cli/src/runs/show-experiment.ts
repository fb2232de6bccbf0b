/** An experiment under way: a line a run, in their order, whichever runs go on side by side. */
import type { Experiment as ExperimentView } from '@rlhf-streams/gateway';
import { type Experiment, hasEnded, type RunConfig } from '@rlhf-streams/runs';
import { linked, pause } from '@rlhf-streams/waiting';
import { followRun } from './follow-run.js';
import { type ProgressLine, progressLine } from './progress.js';
import { lookAt, requestExperiment } from './request-run.js';
import { type ShowingClient, toItsEnd } from './show-run.js';

const LOOK_MS = 1000;

export interface ExperimentLines {
  /** What stands before a run's progress. */
  readonly labelOf: (config: RunConfig) => string;
  /** Called when a run has completed and its line is written. */
  readonly completed?: (config: RunConfig) => void;
}

/**
 * Requests the runs of an experiment, those that the log lacks, and shows the progress of each until it has completed.
 * A run whose turn comes late is told from its beginning: it may have ended long before.
 * @throws as `requestExperiment` and `followRun` do, for the first run in their order that does not complete.
 */
export async function showExperiment(
  client: ShowingClient,
  experiment: Experiment,
  { labelOf, completed }: ExperimentLines,
  signal: AbortSignal,
): Promise<void> {
  const since = performance.now();
  await requestExperiment(client, experiment, signal);
  for (const config of experiment.runs) {
    const { run, method, steps } = config;
    const line = progressLine({ label: labelOf(config), method, steps, since });
    await toItsEnd(line, signal, () => {
      const about = { experiment: experiment.experiment, run };
      return whileLooking(client, about, line, signal, () => followRun(client, run, line, signal));
    });
    completed?.(config);
  }
}

/** Tells the line of a run, while `work` goes on, what the run waits for and which runs go on beside it. */
async function whileLooking(
  client: ShowingClient,
  { experiment, run }: { readonly experiment: string; readonly run: string },
  line: ProgressLine,
  signal: AbortSignal,
  work: () => Promise<unknown>,
): Promise<void> {
  const over = new AbortController();
  const either = linked(signal, over.signal);
  const look = async () => {
    while (!either.signal.aborted) {
      const view = await lookAt(client, experiment, either.signal);
      if (view) tell(line, run, view);
      await pause(LOOK_MS, either.signal);
    }
  };
  const looking = look().catch((error) => {
    if (!either.signal.aborted) throw error;
  });
  try {
    await Promise.race([work(), looking.then(() => new Promise<never>(() => {}))]);
  } finally {
    over.abort();
    either.release();
  }
}

function tell(line: ProgressLine, shown: string, { runs }: ExperimentView): void {
  const others = runs.filter(({ run, status }) => run !== shown && !hasEnded({ status }));
  line.beside({
    waitsFor: runs.find(({ run }) => run === shown)?.waitsFor ?? [],
    running: others
      .filter(({ status }) => status !== 'requested')
      .map(({ run, steps: { done, total } }) => `${run} ${done}/${total ?? '?'}`),
  });
}
