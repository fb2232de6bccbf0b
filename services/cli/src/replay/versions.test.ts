import { createEvents, type Events, type NewEvent, topicSpecs } from '@rlhf-streams/bus';
import { type EventLog, memoryLog } from '@rlhf-streams/log';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compareVersions, differs, versionsOf } from './versions.js';

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

const sha256 = (n: number) => String(n).padStart(64, '0');
const artifact = (n: number) => ({ uri: `artifact:${sha256(n)}`, sha256: sha256(n) });
const published = (run: string, version: number): NewEvent => ({
  type: 'policy.published',
  id: `${run}/version/${version}`,
  data: { run, version, step: version, model: { base: artifact(version) } },
});
const started = (run: string): NewEvent => ({
  type: 'run.started',
  id: `${run}/started`,
  data: {
    run,
    config: {},
    steps: 3,
    testItems: 0,
    models: { policy: { base: artifact(9) } },
    artifacts: {},
    from: {},
  },
});
const completed = (run: string, step: number, version?: number): NewEvent => ({
  type: 'step.completed',
  id: `${run}/${step}`,
  data: {
    run,
    step,
    policyVersion: step + 1,
    split: 'train',
    metrics: {},
    ...(version !== undefined && { published: { base: artifact(version) } }),
  },
});

it('versions are known from its start and its steps too, where a compacted topic forgot them', async () => {
  await events.publish([completed('r', 0), completed('r', 1, 2), completed('r', 2, 3), published('r', 3)]);
  await events.publish([published('other', 1), started('r')]);
  expect(await versionsOf(events, 'r')).toEqual(
    new Map([
      [0, sha256(9)],
      [2, sha256(2)],
      [3, sha256(3)],
    ]),
  );
});

describe('versions of a run and of its replay', () => {
  const compared = (before: [number, string][], after: [number, string][]) =>
    compareVersions(new Map(before), new Map(after)).map((each) => [each.version, differs(each)]);

  it('differ where one came out otherwise, or not at all', () => {
    expect(
      compared(
        [
          [10, 'c'],
          [2, 'b'],
          [0, 'a'],
        ],
        [
          [0, 'a'],
          [2, 'other'],
        ],
      ),
    ).toEqual([
      [0, false],
      [2, true],
      [10, true],
    ]);
  });

  it('do not differ where the log does not tell any more', () => {
    expect(
      compared(
        [[1, 'b']],
        [
          [0, 'a'],
          [1, 'b'],
        ],
      ),
    ).toEqual([
      [0, false],
      [1, false],
    ]);
  });
});
