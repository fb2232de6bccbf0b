import { driveOwned } from '@rlhf-streams/bus';
import { applyRunEvent, hasEnded, type RunView } from '@rlhf-streams/runs';
import { defineService } from '@rlhf-streams/service';
import { thisBuild } from '@rlhf-streams/service/build';
import {
  computeSettings,
  engineChoice,
  memoryLimit,
  startThread,
  trainingSettings,
} from '@rlhf-streams/serving';
import { onnxRuntimeVersion } from '@rlhf-streams/tensor/version';
import type { OptimizerThread, ThreadOptions } from './thread.js';
import { train } from './train.js';

/** Trains the runs it owns: joins events into batches, computes updates, publishes policy versions. */
export const optimizer = defineService({
  name: 'optimizer',
  settings: computeSettings.extend(trainingSettings.shape),
  async start(context) {
    const runs = context.project<'runs', RunView>({ topics: ['runs'], apply: applyRunEvent });
    const build = thisBuild(onnxRuntimeVersion);
    const compute = await startThread<OptimizerThread>(context, new URL('./thread.js', import.meta.url), {
      name: 'optimizer',
      data: {
        workers: context.settings.RLHF_OPTIMIZER_WORKERS,
        compute: engineChoice(context.settings),
        build,
        memoryBytes: memoryLimit(context.settings),
        weightCache: context.weightCache,
      } satisfies ThreadOptions,
    });
    await runs.caughtUp;
    await driveOwned(context, {
      group: 'optimizer',
      topic: 'runs',
      projection: runs,
      wanted: (view) => view.models !== undefined && !hasEnded(view),
      drive: (run, signal, goesOn) =>
        train({ context, compute, runs, build }, runs.state.get(run)!, signal, goesOn),
      fail: (run, cause) =>
        context.events.publish([{ type: 'run.failed', id: `${run}/failed`, data: { run, cause } }]),
    });
  },
});
