import { defineService, driveOwned, type Projection, type ServiceContext } from '@rlhf-streams/runtime';
import { spawn } from '@rlhf-streams/threads';
import { applyRunEvent, type RunView } from '@rlhf-streams/training/config';
import { z } from 'zod';
import { type ConductDependencies, conduct, type RunProgress } from './conduct.js';
import type { PreparationThread } from './preparation/thread.js';

/** Conducts the runs it owns: resolves what they name, issues their steps, and says when they are done. */
export const coordinator = defineService({
  name: 'coordinator',
  settings: z.object({}),
  async start(context) {
    const runs = context.project<'runs', RunView>({ topics: ['runs'], apply: applyRunEvent });
    const progress = context.project<'training-metrics', RunProgress>({
      topics: ['training-metrics'],
      apply: (state, { data }) => {
        const { run, step, policyVersion } = data;
        if (step >= (state.get(run)?.completed ?? 0)) state.set(run, { completed: step + 1, policyVersion });
      },
    });
    const thread = spawn<PreparationThread>(new URL('./preparation/thread.js', import.meta.url), {
      name: 'coordinator',
    });
    thread.died.catch(context.fail);
    context.onStop(() => thread.close(), 'compute thread coordinator');
    await runs.caughtUp;
    const dependencies: ConductDependencies = { context, runs, progress, thread: thread.call };
    await driveOwned(context, {
      group: 'coordinator',
      topic: 'runs',
      projection: runs,
      wanted: ({ status }) => status === 'requested' || status === 'running',
      drive: (run, signal) => conductToItsEnd(context, dependencies, runs, run, signal),
    });
  },
});

/** Conducts until the run ends, however it ends; a run that cannot start fails with the reason. */
async function conductToItsEnd(
  context: ServiceContext,
  dependencies: ConductDependencies,
  runs: Projection<RunView>,
  run: string,
  signal: AbortSignal,
): Promise<void> {
  const { logger, events } = context;
  const fail = (cause: { code: string; message: string }) =>
    events.publish([{ type: 'run.failed', id: `${run}/failed`, data: { run, cause } }]);
  const { config, cause } = runs.state.get(run)!;
  if (!config) return fail(cause!);
  try {
    await conduct(dependencies, run, signal);
  } catch (error) {
    const { code = 'COORDINATOR_FAILED', message } = error as { code?: string; message: string };
    // Another owner is at work, or we are going down: the run goes on elsewhere, or later.
    if (signal.aborted || context.signal.aborted || code === 'LOG_FENCED' || code === 'RUNTIME_STOPPED')
      return;
    logger.error({ err: error, run }, 'the run cannot go on');
    await fail({ code, message });
  }
}
