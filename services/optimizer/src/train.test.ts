import type { DataFor } from '@rlhf-streams/events';
import { itemId } from '@rlhf-streams/events';
import { type EventLog, memoryLog } from '@rlhf-streams/log';
import { createEvents, createLogger, type Events, type NewEvent, topicSpecs } from '@rlhf-streams/runtime';
import { type Item, parseRunConfig, type RunView, stepsOf } from '@rlhf-streams/training/config';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { OptimizerThread } from './thread.js';
import { type TrainDependencies, train } from './train.js';

const STEPS = 4;
const BATCH = 2;
const TEST_ITEMS = 3;

let log: EventLog;
let events: Events;
beforeEach(async () => {
  log = memoryLog();
  await log.ensureTopics(topicSpecs);
  events = createEvents({ log, source: 'optimizer' });
});
afterEach(async () => {
  await events.close();
  await log.close();
});

const source = parseRunConfig({
  run: 'source',
  method: 'sft',
  model: 'm',
  data: 'd',
  steps: STEPS,
  batchSize: BATCH,
  checkpointEvery: 2,
});
const replay = { ...source, run: 'again', replay: 'source' };
const artifact = { uri: 'artifact:m', sha256: '1'.repeat(64) };

const viewOf = (view: Partial<RunView>): RunView => ({
  run: 'again',
  partition: 0,
  status: 'running',
  config: replay,
  artifacts: { policy: artifact },
  steps: STEPS,
  testItems: TEST_ITEMS,
  from: {},
  requestedAt: 0,
  ...view,
});

/** Computes nothing; the artifacts it saves are numbered by its steps. */
function fake(): { dependencies: TrainDependencies; computed: string[][] } {
  const computed: string[][] = [];
  const compute: OptimizerThread = {
    open: async () => ({ step: 0, positions: {} }),
    update: async (_, items) => ({ metrics: { items: note(items) } }),
    evaluate: async (_, items) => ({ 'eval/items': note(items) }),
    savePublished: async () => {},
    saveCheckpoint: async () => {},
    close: async () => {},
  };
  const note = (items: readonly Item[]): number => {
    computed.push(items.map(({ id }) => id));
    return items.length;
  };
  let puts = 0;
  const put = async () => ({ uri: 'artifact:v', sha256: String(puts++).padStart(64, '0') });
  const artifacts = { fetch: async () => 'folder', putDirectory: put } as unknown as ArtifactStore;
  const temporary: TemporaryFolders = { use: async (work) => work('folder'), sweep: async () => {} };
  const logger = createLogger({ level: 'silent' });
  return { dependencies: { context: { events, artifacts, temporary, logger }, compute }, computed };
}
type ArtifactStore = TrainDependencies['context']['artifacts'];
type TemporaryFolders = TrainDependencies['context']['temporary'];

const demonstration = (run: string, step: number, index: number): NewEvent => {
  const id = itemId(run, step, index);
  const split = step < STEPS ? ('train' as const) : ('test' as const);
  const data = { run, step, demonstration: id, split, promptTokens: [], tokens: [1] };
  return { type: 'demonstration.recorded', id, data };
};
const idsOf = (step: number) =>
  Array.from({ length: step < STEPS ? BATCH : TEST_ITEMS }, (_, i) => [step, i] as const);
/** What the source run was trained on. */
const logged = Array.from({ length: stepsOf(source, TEST_ITEMS) }, (_, step) => idsOf(step)).flat();

async function metricsOf(run: string): Promise<DataFor<'step.completed'>[]> {
  const steps: DataFor<'step.completed'>[] = [];
  for await (const { data } of events.readAll(['training-metrics'])) if (data.run === run) steps.push(data);
  return steps;
}
const versionsOf = async (run: string) => {
  const versions: DataFor<'policy.published'>[] = [];
  for await (const { data } of events.readAll(['policy-versions'])) if (data.run === run) versions.push(data);
  return versions;
};
const never = new AbortController().signal;

describe('a replay', () => {
  it('computes the steps of its source in their order, and publishes under its own name', async () => {
    await events.publish(logged.toReversed().map(([step, i]) => demonstration('source', step, i)));
    await events.publish(logged.map(([step, i]) => demonstration('other', step, i)));
    const { dependencies, computed } = fake();
    await train(dependencies, viewOf({}), never);

    expect(computed).toEqual(
      [0, 1, 2, 3, 4].map((step) => idsOf(step).map(([, index]) => itemId('source', step, index))),
    );
    const published = await versionsOf('again');
    expect(published.map(({ version }) => version)).toEqual([0, 2, 4]);
    expect(await versionsOf('source')).toEqual([]);
    expect((await metricsOf('again')).map(({ step, split, published }) => [step, split, published])).toEqual([
      [0, 'train', undefined],
      [1, 'train', published[1]!.artifact],
      [2, 'train', undefined],
      [3, 'train', published[2]!.artifact],
      [4, 'test', undefined],
    ]);
  });

  it('of a run that ended early publishes what came of its last step', async () => {
    await events.publish(logged.map(([step, i]) => demonstration('source', step, i)));
    const { dependencies, computed } = fake();
    await train(dependencies, viewOf({ steps: 3, testItems: 0 }), never);
    expect(computed).toHaveLength(3);
    expect((await versionsOf('again')).map(({ version }) => version)).toEqual([0, 2, 3]);
  });

  it('fails at once when the log does not hold all of it any more, and says what is missing', async () => {
    const kept = logged.filter(([step, index]) => !(step === 2 && index === 1));
    await events.publish(kept.map(([step, i]) => demonstration('source', step, i)));
    const { dependencies, computed } = fake();
    await expect(train(dependencies, viewOf({}), never)).rejects.toMatchObject({
      code: 'REPLAY_INCOMPLETE',
      message: expect.stringMatching(/run source .* step 2, missing: 1 from demonstrations/),
    });
    expect(computed).toHaveLength(2);
  });

  it('reads its source from where that began', async () => {
    await events.publish(logged.map(([step, i]) => demonstration('source', step, i)));
    const { latest } = await log.positions(['demonstrations']);
    const { dependencies } = fake();
    await expect(train(dependencies, viewOf({ from: latest }), never)).rejects.toThrow('step 0');
  });
});
