import { createEvents, type Events, type NewEvent, topicSpecs } from '@rlhf-streams/bus';
import type { ArtifactRef } from '@rlhf-streams/events';
import { type EventLog, memoryLog } from '@rlhf-streams/log';
import type { RunConfigInput } from '@rlhf-streams/runs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findModel, parseModelName } from './models.js';

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

const sft = { run: 'sft', method: 'sft', model: 'm', data: 'd', steps: 9 } as const;
const requested = (config: RunConfigInput): NewEvent => ({
  type: 'run.requested',
  id: `${config.run}/requested`,
  data: { run: config.run, config },
});
const artifactOf = (version: number): ArtifactRef => {
  const sha256 = String(version % 10).repeat(64);
  return { uri: `artifact:${sha256}`, sha256 };
};
const published = (version: number, run = 'sft'): NewEvent => ({
  type: 'policy.published',
  id: `${run}/version/${version}`,
  data: { run, version, step: version, model: { base: artifactOf(version) } },
});
const completed = (step: number, run = 'sft'): NewEvent => ({
  type: 'step.completed',
  id: `${run}/${step}`,
  data: {
    run,
    step,
    policyVersion: step + 1,
    published: { base: artifactOf(step + 1) },
    split: 'train',
    metrics: {},
  },
});

/** An artifact store that no longer has the artifacts of the versions in `gone`. */
const find = (name: string, ...gone: readonly number[]) =>
  findModel(
    {
      events,
      artifacts: {
        has: async ({ sha256 }) => !gone.some((version) => artifactOf(version).sha256 === sha256),
      },
    },
    parseModelName(name),
  );
const refusal = (message: string) => expect.objectContaining({ code: 'CLI_EXPORT_REFUSED', message });

describe('the model of a run', () => {
  // A compacted topic keeps only the newest version; `step.completed` tells of every version.
  beforeEach(() => events.publish([requested(sft), completed(2), completed(5), completed(8), published(9)]));

  it('is its newest version', async () => {
    expect(await find('sft')).toMatchObject({ version: 9, step: 9, model: { base: artifactOf(9) } });
  });

  it('is an older one that only its step tells of', async () => {
    expect(await find('sft@3')).toEqual({ version: 3, step: 3, model: { base: artifactOf(3) } });
  });

  it('is the newest that is stored', async () => {
    expect(await find('sft', 9)).toMatchObject({ version: 6 });
  });

  it.each([
    ['sft@4', [], 'run sft has published no version 4; there are 3 (step 3), 6 (step 6), 9 (step 9)'],
    [
      'sft@3',
      [3],
      'version 3 of run sft was removed when artifacts were collected; there are 6 (step 6), 9 (step 9)',
    ],
    [
      'sft',
      [3, 6, 9],
      'expected a model of run sft to be stored, got none of 3: is this where its services keep artifacts (--directory, RLHF_ARTIFACTS_URL)?',
    ],
    ['sfx', [], 'expected a run of the log, got sfx (did you mean sft?); runs with a model: sft'],
    ['another', [], 'expected a run of the log, got another; runs with a model: sft'],
  ])('%s without %j is refused', async (name, gone, message) => {
    await expect(find(name, ...gone)).rejects.toEqual(refusal(message));
  });

  it('is not there before its first version, nor after a failure before that', async () => {
    await events.publish([requested({ ...sft, run: 'new' })]);
    await expect(find('new')).rejects.toEqual(
      refusal('run new has published no model, it is requested: wait for its first; runs with a model: sft'),
    );
    await events.publish([
      {
        type: 'run.failed',
        id: 'new/failed',
        data: { run: 'new', cause: { code: 'X', message: 'no data' } },
      },
    ]);
    await expect(find('new')).rejects.toEqual(
      refusal('run new has published no model, it failed (no data); runs with a model: sft'),
    );
  });

  it('is not there where nothing is trained', async () => {
    const sample = { run: 'drawn', method: 'sample', prompts: 'd', steps: 1 } as const;
    await events.publish([requested({ ...sample, model: 'run:sft' }), published(0, 'drawn')]);
    await expect(find('drawn')).rejects.toEqual(
      refusal(
        'run drawn samples and trains nothing, so it has no model of its own: it sampled from run:sft, export that',
      ),
    );
  });

  it('lists the newest of many', async () => {
    await events.publish(Array.from({ length: 40 }, (_, step) => completed(step, 'long')));
    await events.publish([requested({ ...sft, run: 'long' })]);
    await expect(find('long@99')).rejects.toThrow(
      /there are 20 older ones, 21 \(step 21\), .*, 40 \(step 40\)$/,
    );
  });
});

it.each(['sft@', 'sft@x', '@3', 'sft@3@4', 'sft@-1', ''])('%j names no model', (text) => {
  expect(() => parseModelName(text)).toThrow(/expected RUN or RUN@VERSION, as in my-ppo@40, got/);
});
