import { createEvents, type Events, type NewEvent, topicSpecs } from '@rlhf-streams/bus';
import { type EventLog, memoryLog } from '@rlhf-streams/log';
import { parseRunConfig, type RunConfigInput } from '@rlhf-streams/runs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CliError } from '../errors.js';
import { planReplay, type ReplayRequest } from './plan.js';

let log: EventLog;
let events: Events;
beforeEach(async () => {
  log = memoryLog();
  await log.ensureTopics(topicSpecs);
  events = createEvents({ log, source: 'cli' });
});
afterEach(async () => {
  await events.close();
  await log.close();
});

const dpo = { run: 'dpo', method: 'dpo', model: 'm', data: 'd', steps: 3 } as const;
const request = (config: RunConfigInput): NewEvent => ({
  type: 'run.requested',
  id: `${config.run}/requested`,
  data: { run: config.run, config },
});
const start = (config: RunConfigInput): NewEvent => ({
  type: 'run.started',
  id: `${config.run}/started`,
  data: {
    run: config.run,
    config: { ...parseRunConfig(config) },
    steps: 3,
    testItems: 0,
    models: {},
    artifacts: {},
    from: {},
  },
});
const step = (run: string, step: number): NewEvent => ({
  type: 'step.completed',
  id: `${run}/${step}`,
  data: { run, step, policyVersion: step + 1, split: 'train', metrics: {} },
});
const end = (run: string): NewEvent => ({
  type: 'run.completed',
  id: `${run}/completed`,
  data: { run, steps: 3, policyVersion: 3 },
});
const whole = (config: RunConfigInput): NewEvent[] => [
  request(config),
  start(config),
  ...[0, 1, 2].map((each) => step(config.run, each)),
  end(config.run),
];

const plan = async (options: Partial<ReplayRequest> = {}) =>
  (await planReplay(events, { run: 'dpo', changes: [], ...options })).config;
const replay = (run: string) => parseRunConfig({ ...dpo, run, replay: 'dpo' });

describe('a replay', () => {
  it('is the run under the next name that is free', async () => {
    await events.publish(whole(dpo));
    expect(await plan()).toEqual(replay('dpo-replay-1'));
    expect(await plan({ as: 'mine' })).toEqual(replay('mine'));
    await events.publish(whole(replay('dpo-replay-1')));
    expect(await plan()).toEqual(replay('dpo-replay-2'));
  });

  it('goes on if it was interrupted, and is another one with other changes', async () => {
    await events.publish([...whole(dpo), request(replay('dpo-replay-1'))]);
    expect(await plan()).toEqual(replay('dpo-replay-1'));
    expect(await plan({ changes: [['dpo.beta', 0.5]] })).toMatchObject({
      run: 'dpo-replay-2',
      dpo: { beta: 0.5 },
    });
  });

  it('of a replay is of the run that has the events', async () => {
    const other = { ...dpo, run: 'other', replay: 'dpo', dpo: { beta: 0.5 } };
    await events.publish([...whole(dpo), ...whole(other)]);
    expect(await plan({ run: 'other' })).toMatchObject({
      run: 'other-replay-1',
      replay: 'dpo',
      dpo: { beta: 0.5 },
    });
  });
});

it('under the name of another run is refused, under its own it is itself again', async () => {
  await events.publish([...whole(dpo), ...whole(replay('mine'))]);
  expect(await plan({ as: 'mine' })).toEqual(replay('mine'));
  const taken = { code: 'CLI_RUN_EXISTS' };
  await expect(plan({ as: 'dpo' })).rejects.toMatchObject(taken);
  await expect(plan({ as: 'mine', changes: [['dpo.beta', 0.5]] })).rejects.toMatchObject(taken);
});

describe('what cannot be replayed is refused', () => {
  const refusal = async (options: Partial<ReplayRequest> = {}) => {
    const error = await plan(options).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(CliError);
    expect(error.code).toBe('CLI_REPLAY_REFUSED');
    return error.message as string;
  };

  it('a run that is not there, with those that are', async () => {
    await events.publish([request(dpo), request({ ...dpo, run: 'b' })]);
    const message = await refusal({ run: 'nowhere' });
    for (const said of ['nowhere', 'dpo', 'b']) expect(message).toContain(said);
  });

  it('a run that goes on', async () => {
    await events.publish([request(dpo), start(dpo), step('dpo', 0)]);
    expect(await refusal()).toContain('it is running');
  });

  it('a run that never started, or did nothing', async () => {
    const failed = (run: string): NewEvent => ({
      type: 'run.failed',
      id: `${run}/failed`,
      data: { run, cause: { code: 'NO', message: 'no' } },
    });
    await events.publish([request(dpo), failed('dpo')]);
    expect(await refusal()).toContain('never was');
    await events.publish([request({ ...dpo, run: 'b' }), start({ ...dpo, run: 'b' }), failed('b')]);
    expect(await refusal({ run: 'b' })).toContain('got none to replay');
  });

  it('other samples, and values that are none', async () => {
    await events.publish(whole(dpo));
    expect(await refusal({ changes: [['batchSize', 5]] })).toContain('batchSize');
    expect(await refusal({ changes: [['steps', 4]] })).toContain('at most 3');
    expect(await refusal({ changes: [['dpo.beta', 'much']] })).toContain(
      "dpo.beta: expected number above 0, got 'much'",
    );
    expect(await refusal({ as: 'Not A Name' })).toContain('  run: a run id is');
  });
});
