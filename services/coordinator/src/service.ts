import { defineService, driveOwned, startThread } from '@rlhf-streams/runtime';
import { applyRunEvent, hasEnded, type RunView } from '@rlhf-streams/training/config';
import { type ConductDependencies, conduct, type RunProgress } from './conduct.js';
import { collectRegularly, garbageSettings } from './garbage.js';
import type { PreparationThread } from './preparation/thread.js';

/** Conducts the runs it owns: resolves what they name, issues their steps, and says when they are done. */
export const coordinator = defineService({
  name: 'coordinator',
  settings: garbageSettings,
  async start(context) {
    const runs = context.project<'runs', RunView>({ topics: ['runs'], apply: applyRunEvent });
    const progress = context.project<'training-metrics', RunProgress>({
      topics: ['training-metrics'],
      apply: (state, { data }) => {
        const { run, step, policyVersion } = data;
        if (step >= (state.get(run)?.completed ?? 0)) state.set(run, { completed: step + 1, policyVersion });
      },
    });
    const url = new URL('./preparation/thread.js', import.meta.url);
    const thread = await startThread<PreparationThread>(context, url, { name: 'coordinator' });
    await runs.caughtUp;
    const dependencies: ConductDependencies = { context, runs, progress, thread };
    await collectRegularly(context);
    await driveOwned(context, {
      group: 'coordinator',
      topic: 'runs',
      projection: runs,
      wanted: (view) => !hasEnded(view),
      drive: (run, signal, goesOn) => conduct(dependencies, run, signal, goesOn),
      fail: (run, cause) =>
        context.events.publish([{ type: 'run.failed', id: `${run}/failed`, data: { run, cause } }]),
    });
  },
});
