/**
 * Run as a process: starts the services, and follows the runs of an experiment to their end. Whoever started it is told of
 * every step, and may kill it. On Kafka it kills its optimizer, policy, reward and reference after the first step of each run.
 */
import type { ExperimentInput } from '@rlhf-streams/runs';
import { followRun, requestExperiment } from 'rlhf-streams';
import { type Place, startServices } from './services.js';

const { place, experiment } = JSON.parse(process.argv[2]!) as {
  readonly place: Place;
  readonly experiment: ExperimentInput;
};
const started = await startServices(place);
const killed = new Set(['optimizer', 'policy', 'reward', 'reference']);
await requestExperiment(started, experiment);
await Promise.all(
  experiment.runs.map(({ run }) =>
    followRun(started, run, {
      step({ step }) {
        process.send!({ run, step });
        if (step !== 0) return;
        for (const service of started.services ?? [])
          if (killed.has(service.service)) service.kill('SIGKILL');
      },
    }),
  ),
);
await started.close();
process.disconnect();
