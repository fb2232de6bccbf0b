/**
 * The process in which one build is measured: `node measured-build.js ROOT`. All that is timed is that build's own code,
 * found by its folder. What differs between builds is here and in `trained-by.ts`, and nowhere else.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { RunConfigInput } from '@rlhf-streams/runs';
import { inTemporaryFolder } from '../temporary-folder.js';
import { median } from '../timing.js';
import { answerRequests, type Opened } from './channel.js';
import { openDecode } from './decoding.js';
import { importFrom } from './import-from.js';
import { openTraining } from './trained-by.js';
import type { Ppo } from './workload.js';

const root = process.argv[2]!;
const LIMIT_MS = 5 * 60_000;

await answerRequests(async (workload) => {
  if (workload.kind === 'decode') return openDecode(root, workload);
  if (workload.kind === 'training') return openTraining(root, workload);
  if (workload.kind === 'ppo') return openPpo(workload);
  throw new Error(`expected decode, training or ppo, got ${workload.kind}`);
});

/** A whole run each time, of which the median step after the first ones counts. */
async function openPpo({ run, warmUp }: Ppo): Promise<Opened> {
  const { followRun, requestRun, startPlatform } = await importFrom<typeof import('rlhf-streams')>(
    root,
    'rlhf-streams',
  );
  return {
    run: () =>
      inTemporaryFolder(async (directory) => {
        const platform = await startPlatform({ directory, environment: {} });
        try {
          await requestRun(platform, known(run));
          await followRun(platform, run.run, {}, AbortSignal.timeout(LIMIT_MS));
          // A step lasts from the completion of the one before to its own, as the log accepted them.
          const completed: number[] = [];
          for await (const { records } of platform.log.read({
            topics: ['training-metrics'],
            follow: false,
          })) {
            for (const { headers, timestamp } of records)
              if (headers.ce_type === 'step.completed') completed.push(timestamp);
          }
          const steps = completed.slice(warmUp).map((at, step) => at - completed[warmUp + step - 1]!);
          return median(steps);
        } finally {
          await platform.close();
        }
      }),
    close: async () => {},
  };
}

/** The configuration without what builds before the package `runs` do not know, and did not need. */
function known(run: RunConfigInput): RunConfigInput {
  if (existsSync(join(root, 'libs', 'runs'))) return run;
  const { allow: _, ...rest } = run as RunConfigInput & { allow?: unknown };
  return rest as RunConfigInput;
}
