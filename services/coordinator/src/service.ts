import { driveOwned } from '@rlhf-streams/bus';
import { applyRunEvent, hasEnded, type RunView } from '@rlhf-streams/runs';
import { readDeclarations, scorerSettings } from '@rlhf-streams/scorers';
import { defineService, topicSettings } from '@rlhf-streams/service';
import {
  generationSettings,
  memoryLimit,
  memorySettings,
  policyThreads,
  scoringSettings,
  scoringThreads,
  trainingSettings,
} from '@rlhf-streams/serving';
import { archiveRuns } from './archive/archive-runs.js';
import { type ConductDependencies, conduct, type RunProgress } from './conduct.js';
import { collectRegularly, garbageSettings } from './garbage.js';
import type { PreparationThread } from './preparation/thread.js';
import { preparationThreads } from './preparation/threads.js';

/** Conducts the runs it owns: resolves what they name, issues their steps, and says when they are done. */
export const coordinator = defineService({
  name: 'coordinator',
  settings: garbageSettings
    .extend(memorySettings.shape)
    // Services in the same process have the same environment; admission needs their settings to estimate memory.
    .extend(generationSettings.shape)
    .extend(scoringSettings.shape)
    .extend(trainingSettings.shape)
    .extend(scorerSettings.shape)
    .extend(topicSettings.shape),
  async start(context) {
    const runs = context.project<'runs', RunView>({ topics: ['runs'], apply: applyRunEvent });
    const progress = context.project<'training-metrics', RunProgress>({
      topics: ['training-metrics'],
      apply: (state, { data }) => {
        const { run, step, policyVersion } = data;
        if (step >= (state.get(run)?.completed ?? 0))
          state.set(run, { completed: step + 1, policyVersion, last: data });
      },
    });
    const url = new URL('./preparation/thread.js', import.meta.url);
    const threads = preparationThreads<PreparationThread>(url);
    const { settings } = context;
    const machine = () => ({
      limitBytes: memoryLimit(settings),
      services: context.inProcess(),
      policyThreads: policyThreads(settings),
      scoringThreads: scoringThreads(settings),
      policySlots: settings.RLHF_POLICY_SLOTS,
      optimizerWorkers: settings.RLHF_OPTIMIZER_WORKERS,
    });
    // Names and hashes alone: it asks no scorer, and needs no token.
    const declarations = await readDeclarations(settings.RLHF_SCORERS);
    await runs.caughtUp;
    const dependencies: ConductDependencies = { context, runs, progress, threads, machine, declarations };
    await collectRegularly(context);
    await archiveRuns(context, runs);
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
