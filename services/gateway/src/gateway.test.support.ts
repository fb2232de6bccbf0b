/** A gateway over a log in memory, and what tests tell it and ask it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { filesystemArtifacts } from '@rlhf-streams/artifacts';
import { createEvents, type Events, type NewEvent, topicSpecs } from '@rlhf-streams/bus';
import { type EventLog, memoryLog } from '@rlhf-streams/log';
import type { RunConfigInput } from '@rlhf-streams/runs';
import {
  createLogger,
  type Environment,
  type ProblemDetails,
  type RunningService,
  startService,
} from '@rlhf-streams/service';
import { expect } from 'vitest';
import { gateway } from './service.js';

export interface TestGateway {
  readonly service: RunningService;
  readonly log: EventLog;
  /** Publishes as another service would. */
  readonly events: Events;
  /** What the gateway logged as warnings and errors. */
  readonly logged: readonly string[];
  get(path: string): Promise<Response>;
  post(path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>;
  close(): Promise<void>;
}

export interface TestGatewayOptions {
  /** Default a new one, closed with the gateway. */
  readonly log?: EventLog;
  /** Stands between the gateway and its log. */
  readonly wrap?: (log: EventLog) => EventLog;
  readonly environment?: Environment;
  readonly now?: () => number;
}

export async function startGateway(options: TestGatewayOptions = {}): Promise<TestGateway> {
  const { wrap = (log) => log, environment = {}, now = Date.now } = options;
  const folder = await mkdtemp(join(tmpdir(), 'gateway-'));
  const log = options.log ?? memoryLog({ now });
  await log.ensureTopics(topicSpecs);
  const logged: string[] = [];
  const service = await startService(gateway, {
    log: wrap(log),
    artifacts: filesystemArtifacts({ directory: folder }),
    environment,
    port: 0,
    logger: createLogger({ level: 'warn', format: 'json', write: (line) => void logged.push(line) }),
  });
  const events = createEvents({ log, source: 'test' });
  return {
    service,
    log,
    events,
    logged,
    get: (path) => service.request(path),
    post: (path, body, headers = { 'content-type': 'application/json' }) =>
      service.request(path, {
        method: 'POST',
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body), headers }),
      }),
    close: async () => {
      await service.stop();
      await events.close();
      if (!options.log) await log.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export async function expectProblem(
  response: Response,
  status: number,
  code: string,
): Promise<ProblemDetails> {
  const body = (await response.json()) as ProblemDetails;
  expect({ status: response.status, code: body.code }).toEqual({ status, code });
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  expect(body.status).toBe(status);
  return body;
}

export const config = (run: string): RunConfigInput => ({
  run,
  method: 'sft',
  steps: 4,
  model: {},
  data: 'bundled',
});

const ref = (name: string) => ({ uri: `artifact:${name}`, sha256: 'a'.repeat(64) });

/** Events of a run as services publish them. */
export const facts = {
  requested: (run: string): NewEvent => ({
    type: 'run.requested',
    data: { run, config: config(run) },
    id: `${run}/requested`,
  }),
  started: (run: string, testItems = 0): NewEvent => ({
    type: 'run.started',
    data: {
      run,
      config: config(run),
      steps: 4,
      testItems,
      models: { policy: { base: ref('initial') } },
      artifacts: {},
      from: {},
      data: { read: 9, used: 8, cut: 1, dropped: { 'empty text': 1 } },
    },
    id: `${run}/started`,
  }),
  waiting: (run: string, step: number): NewEvent => ({
    type: 'run.waiting',
    data: { run, step, waitingFor: { rewards: 3 }, sinceMs: 1000, deadlineMs: 9000 },
    id: `${run}/waiting/${step}`,
  }),
  step: (run: string, step: number): NewEvent => ({
    type: 'step.completed',
    data: { run, step, policyVersion: step + 1, split: 'train', metrics: { loss: 1 / (step + 1) } },
    id: `${run}/${step}`,
  }),
  published: (run: string, version: number): NewEvent => ({
    type: 'policy.published',
    data: { run, version, step: version, model: { base: ref('policy') } },
    id: `${run}/policy/${version}`,
  }),
  scored: (run: string, step: number, index: number): NewEvent => {
    const prompt = `${run}/${step}/${index}`;
    const data = { run, step, prompt, rollout: `${prompt}/0`, policyVersion: step, score: index, parts: {} };
    return { type: 'reward.scored', data, id: `reward/${prompt}/0` };
  },
  completed: (run: string): NewEvent => ({
    type: 'run.completed',
    data: { run, steps: 4, policyVersion: 4 },
    id: `${run}/completed`,
  }),
  failed: (run: string): NewEvent => ({
    type: 'run.failed',
    data: { run, cause: { code: 'RUN_STALLED', message: 'no rewards came' } },
    id: `${run}/failed`,
  }),
};
