import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunConfigInput } from '@rlhf-streams/runs';
import { type Processes, requestRun, startProcesses } from 'rlhf-streams';
import type { Measurement, Row } from '../measurement.js';
import { inTemporaryFolder } from '../temporary-folder.js';
import { median } from '../timing.js';
import { type Vitals, vitalsAt } from './scrape.js';

const SAMPLE_MS = 5_000;
const MINUTE_MS = 60_000;

/** A run that does not end within a soak. Its steps are short, so that many events flow. */
const run = {
  run: 'soak',
  method: 'ppo',
  model: { layers: 2, width: 64, heads: 4, contextLength: 64, vocabSize: 512 },
  prompts: 'bundled',
  scorers: ['gold:bundled'],
  steps: 1_000_000,
  batchSize: 32,
  checkpointEvery: 5,
  sampling: { temperature: 1, maxNewTokens: 16 },
  ppo: { numPpoEpochs: 1 },
} satisfies RunConfigInput;

interface Sample {
  /** Milliseconds since the run began. */
  readonly at: number;
  readonly vitals: ReadonlyMap<string, Vitals>;
}

export const soak: Measurement = {
  name: 'soak',
  about: 'a PPO run without end on Kafka, every service a process: memory, lag, timers and sockets over time',
  onlyByName: true,
  async run({ minutes, brokers }) {
    const cluster = await brokers();
    if (!cluster) throw new Error('expected a Kafka broker to soak: start Docker, or set KAFKA_BROKERS');
    return inTemporaryFolder(async (directory) => {
      const environment = {
        ...process.env,
        KAFKA_BROKERS: cluster,
        KAFKA_PREFIX: `soak-${randomUUID()}.`,
        LOG_LEVEL: 'warn',
      };
      const processes = await startProcesses({ directory, environment });
      try {
        await requestRun(processes, run);
        const samples = await watch(processes, minutes * MINUTE_MS);
        return { rows: rowsOf(samples), figures: await figuresOf(processes, samples, minutes), notes };
      } finally {
        await processes.close();
      }
    });
  },
};

const notes = [
  'First, middle and last: medians over the second, the sixth and the last tenth of the time. Memory in MiB; resources:',
  'timers and sockets that keep an event loop alive; lag: records a group has not committed, the most seen at any time.',
  'The gateway keeps the metrics of every step, and so grows with the log.',
];

async function watch({ services, failed }: Processes, totalMs: number): Promise<Sample[]> {
  const begun = performance.now();
  const samples: Sample[] = [];
  const failure = failed.then(({ error }) => {
    throw error;
  });
  failure.catch(() => {});
  for (let at = 0; at < totalMs; at = performance.now() - begun) {
    const vitals = await Promise.all(
      services.map(async ({ service, url }) => [service, await vitalsAt(url)] as const),
    );
    samples.push({ at, vitals: new Map(vitals) });
    await Promise.race([sleep(SAMPLE_MS), failure]);
  }
  return samples;
}

function rowsOf(samples: readonly Sample[]): Row[] {
  const tenth = Math.max(1, Math.floor(samples.length / 10));
  const half = Math.floor(samples.length / 2);
  const [early, middle, late] = [
    samples.slice(tenth, 2 * tenth),
    samples.slice(half, half + tenth),
    samples.slice(-tenth),
  ];
  return [...samples[0]!.vitals.keys()].map((service) => {
    const typical = (of: readonly Sample[], which: keyof Vitals) =>
      median(of.map(({ vitals }) => vitals.get(service)![which]));
    return {
      service,
      'memory first': Math.round(typical(early, 'memory')),
      'memory middle': Math.round(typical(middle, 'memory')),
      'memory last': Math.round(typical(late, 'memory')),
      'resources first': typical(early, 'resources'),
      'resources last': typical(late, 'resources'),
      'most lag': Math.max(...samples.map(({ vitals }) => vitals.get(service)!.lag)),
      'last lag': typical(late, 'lag'),
    };
  });
}

async function figuresOf({ events, services }: Processes, samples: readonly Sample[], minutes: number) {
  let steps = 0;
  for await (const { data } of events.readAll(['training-metrics'])) if (data.run === run.run) steps++;
  return {
    minutes,
    samples: samples.length,
    steps,
    'rollouts/s': (steps * run.batchSize) / (minutes * 60),
    restarts: services.reduce((total, { lives }) => total + lives - 1, 0),
  };
}
