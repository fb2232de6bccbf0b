/** The services that work for a run, each started by itself, over a log and an artifact store of the test's choice. */
import type { ArtifactStore } from '@rlhf-streams/artifacts';
import type { Events } from '@rlhf-streams/bus';
import { coordinator } from '@rlhf-streams/coordinator';
import type { EventLog } from '@rlhf-streams/log';
import { optimizer } from '@rlhf-streams/optimizer';
import { policy } from '@rlhf-streams/policy';
import { reference } from '@rlhf-streams/reference';
import { reward } from '@rlhf-streams/reward';
import type { RunConfigInput } from '@rlhf-streams/runs';
import {
  createLogger,
  type Environment,
  type RunningService,
  type ServiceDefinition,
  startService,
} from '@rlhf-streams/service';
import { oneThread } from '../platform/tiny-runs.js';

const definitions = { policy, reward, reference, optimizer, coordinator } as const;
export type Worker = keyof typeof definitions;

export interface Surroundings {
  readonly log: EventLog;
  readonly artifacts: ArtifactStore;
  /** Folder of what the services keep besides. */
  readonly directory: string;
}

/** Starts one replica. */
export function start(
  name: Worker,
  { log, artifacts, directory }: Surroundings,
  environment: Environment = {},
): Promise<RunningService> {
  return startService(definitions[name] as unknown as ServiceDefinition, {
    log,
    artifacts,
    environment: {
      RLHF_DATA_DIR: directory,
      ...oneThread,
      ...environment,
    },
    port: 0,
    logger: createLogger({ level: 'silent' }),
  });
}

/** Starts one replica of each, together. */
export const startAll = (surroundings: Surroundings, names: readonly Worker[]): Promise<RunningService[]> =>
  Promise.all(names.map((name) => start(name, surroundings)));

export async function stopAll(services: readonly RunningService[]): Promise<void> {
  await Promise.all(services.map((service) => service.stop()));
}

export const request = (events: Events, config: RunConfigInput): Promise<void> =>
  events.publish([
    { type: 'run.requested', id: config.run, data: { run: config.run, config: { ...config } } },
  ]);

/** Resolves when a run has completed `steps` steps. @throws Error when it ends before. */
export async function stepsDone(events: Events, run: string, steps: number): Promise<void> {
  for await (const { type, data } of events.follow({ topics: ['training-metrics', 'runs'] })) {
    if (data.run !== run) continue;
    if (type === 'step.completed' && data.step + 1 >= steps) return;
    if (type === 'run.failed') throw new Error(`run ${run} failed: ${data.cause.message}`);
    if (type === 'run.completed' || type === 'run.cancelled')
      throw new Error(`run ${run} has ended: ${type}`);
  }
}

/** Resolves when a run is completed. @throws Error with its cause when it fails. */
export async function completed(events: Events, run: string): Promise<void> {
  for await (const { type, data } of events.follow({ topics: ['runs'] })) {
    if (data.run !== run) continue;
    if (type === 'run.completed') return;
    if (type === 'run.failed') throw new Error(`run ${run} failed: ${data.cause.message}`);
  }
}
