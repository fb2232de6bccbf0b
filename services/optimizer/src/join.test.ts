import type { Received } from '@rlhf-streams/bus';
import type { DataFor, StreamName } from '@rlhf-streams/events';
import type { Positions } from '@rlhf-streams/log';
import {
  earlierStreams,
  type IssuedStep,
  idsOf,
  type JoinedTopic,
  parseRunConfig,
  type RunSpec,
  specOf,
} from '@rlhf-streams/runs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  createJoin,
  type Join,
  type JoinedEvent,
  type JoinOptions,
  type WholeStep,
  type WholeStream,
} from './join.js';

const PARTITIONS = 3;
const STEPS = 3;
const reference = { base: { uri: 'artifact:r', sha256: '0'.repeat(64) } };
const cause = { code: 'BROKEN', message: 'it broke' };

const joins = ['rollouts', 'rewards', 'reference-logprobs'] as const;
const streams: RunSpec['streams'] = [
  { name: 'train', split: 'train', draws: { batch: 2 }, samples: 2, joins },
  { name: 'evaluation', split: 'test', draws: { first: 2 }, joins, schedule: { every: 2 } },
];
/** Each step trains on the rollouts of two prompts; the second is evaluated, too. */
const issuedStep = (step: number, run = 'ppo'): IssuedStep => ({
  run,
  step,
  streams: [
    { stream: 'train', kind: 'prompts', split: 'train', rows: [5, 3], samples: 2 },
    ...(step === 1
      ? [{ stream: 'evaluation', kind: 'prompts', split: 'test', rows: { from: 0, count: 2 } } as const]
      : []),
  ],
});
const idsIn = (step: number, stream: StreamName) =>
  idsOf(issuedStep(step)).find((each) => each.stream === stream)?.items ?? [];
const ofPpo: JoinOptions = { run: 'ppo', streams, steps: STEPS };
const stepListed = (step: number, offset: number, run?: string) =>
  ({
    topic: 'steps',
    type: 'step.issued',
    data: issuedStep(step, run),
    partition: 1,
    offset,
    id: `ppo/${step}`,
    time: 0,
    key: 'ppo',
  }) as Received<'steps'>;
/** A join of steps that are listed. */
const joinOfListed = () => {
  const join = createJoin(ofPpo);
  for (let step = 0; step < STEPS; step++) join.add(stepListed(step, step));
  return join;
};

/** An event without its place on the log. */
type Unplaced = Pick<JoinedEvent, 'topic' | 'type' | 'data'>;
/** An event about a rollout, for a policy version: a result, or a failure. */
type Outcome = number | { readonly failed: number };

const versionOf = (outcome: Outcome): number => (typeof outcome === 'number' ? outcome : outcome.failed);

let unique = 0;
/** An event of a rollout, different from every other. */
function rolloutEvent(topic: JoinedTopic, rollout: string, outcome: Outcome, run = 'ppo'): Unplaced {
  const step = Number(rollout.split('/')[1]);
  const prompt = rollout.slice(0, rollout.lastIndexOf('/'));
  const stamp = { run, step, prompt, rollout };
  const number = unique++;
  const policyVersion = versionOf(outcome);
  const failed = typeof outcome !== 'number';
  if (topic === 'rollouts') {
    if (failed) return { topic, type: 'rollout.failed', data: { ...stamp, policyVersion, cause } };
    const said = {
      role: 'policy',
      promptText: 'p',
      promptTokens: [1],
      text: 'c',
      tokens: [number],
      logprobs: [-1],
      temperature: 1,
    };
    return {
      topic,
      type: 'rollout.generated',
      data: { ...stamp, ...said, policyVersion, finishReason: 'stop' },
    };
  }
  if (topic === 'rewards') {
    if (failed) return { topic, type: 'reward.failed', data: { ...stamp, policyVersion, cause } };
    return { topic, type: 'reward.scored', data: { ...stamp, policyVersion, score: number, parts: {} } };
  }
  const subject = { run, step, subject: rollout, policyVersion };
  if (failed) return { topic: 'reference-logprobs', type: 'reference.failed', data: { ...subject, cause } };
  const data = { ...subject, logprobs: [[-number]], reference };
  return { topic: 'reference-logprobs', type: 'reference.scored', data };
}

const at = ({ topic, type, data }: Unplaced, partition: number, offset: number) =>
  ({ topic, type, data, partition, offset, id: `${topic}/${offset}`, time: 0, key: '' }) as JoinedEvent;

/** Queues as one list, each queue's order kept; `picks` says whose turn it is. */
function merge<T>(queues: readonly (readonly T[])[], picks: readonly number[]): T[] {
  const left = queues.filter(({ length }) => length > 0).map((queue) => [...queue]);
  const merged: T[] = [];
  for (let turn = 0; left.length > 0; turn++) {
    const which = picks[turn % picks.length]! % left.length;
    merged.push(left[which]!.shift()!);
    if (left[which]!.length === 0) left.splice(which, 1);
  }
  return merged;
}

const topics = ['rollouts', 'rewards', 'reference-logprobs'] as const;
interface History {
  readonly rollouts: readonly Outcome[];
  readonly rewards: readonly Outcome[];
  readonly 'reference-logprobs': readonly Outcome[];
}

const outcome: fc.Arbitrary<Outcome> = fc.oneof(
  { weight: 1, arbitrary: fc.nat({ max: 2 }).map((failed) => ({ failed })) },
  { weight: 5, arbitrary: fc.nat({ max: 2 }) },
);
/** Work may be done twice, under different versions, and fail; what the first rollout needs comes in the end. */
const history: fc.Arbitrary<History> = fc
  .record({
    rollouts: fc.array(outcome, { minLength: 1, maxLength: 3 }),
    rewards: fc.array(outcome, { maxLength: 3 }),
    'reference-logprobs': fc.array(outcome, { maxLength: 3 }),
  })
  .map(({ rollouts, rewards, 'reference-logprobs': logprobs }) => {
    const accepted = versionOf(rollouts[0]!);
    return { rollouts, rewards: [...rewards, accepted], 'reference-logprobs': [...logprobs, accepted] };
  });

const ids = Array.from({ length: STEPS }, (_, step) =>
  idsOf(issuedStep(step)).flatMap(({ items }) => items),
).flat();
const picks = fc.array(fc.nat({ max: 100 }), { minLength: 1, maxLength: 50 });

type Event = JoinedEvent | Received<'steps'>;

/** The log's partitions: samples of a prompt share one in every topic, beside events of another run. */
function logOf(histories: readonly History[], order: readonly number[]): Event[][] {
  const listed = [
    stepListed(1, 0, 'other'),
    ...Array.from({ length: STEPS }, (_, step) => stepListed(step, step + 1)),
  ];
  const parts = topics.flatMap((topic) =>
    Array.from({ length: PARTITIONS }, (_, partition) => {
      const queues = ids.map((id, i) =>
        Number(id.split('/')[2]) % PARTITIONS === partition
          ? histories[i]![topic].map((outcome) => rolloutEvent(topic, id, outcome))
          : [],
      );
      const other = [
        rolloutEvent(topic, 'ppo/0/0/0', 7, 'other'),
        rolloutEvent(topic, 'ppo/0/1/0', { failed: 0 }, 'other'),
      ];
      return merge([...queues, other], order).map((event, offset) => at(event, partition, offset));
    }),
  );
  return [listed, ...parts];
}

const log = fc
  .tuple(fc.array(history, { minLength: ids.length, maxLength: ids.length }), picks)
  .map(([h, o]) => logOf(h, o));

/** The specification: the first rollout, with each topic's first event for its version, unless one of them is a failure. */
function specified(log: readonly (readonly Event[])[], step: number): WholeStep {
  const ofStream = (stream: StreamName) => specifiedOf(log, idsIn(step, stream));
  return { train: ofStream('train'), ...(step === 1 && { evaluation: ofStream('evaluation') }) };
}
function specifiedOf(log: readonly (readonly Event[])[], ids: readonly string[]): WholeStream {
  const events = log.flat().filter(({ data }) => data.run === 'ppo');
  const items = ids.map((id) => {
    const [rollout, ...others] = topics.map((topic) => {
      const own = events.filter((event) => event.topic === topic && Object.values(event.data).includes(id));
      return (version?: number) =>
        own.find(
          ({ data }) =>
            version === undefined || (data as { policyVersion?: number }).policyVersion === version,
        )!;
    });
    const first = rollout!();
    if (first.type !== 'rollout.generated') return undefined;
    const [reward, logprobs] = others.map((find) => find(first.data.policyVersion));
    if (reward!.type === 'reward.failed' || logprobs!.type === 'reference.failed') return undefined;
    return { id, rollout: first.data, reward: reward!.data, reference: logprobs!.data };
  });
  const whole = items.filter((item) => item !== undefined) as unknown as WholeStream['items'];
  const failed = items.length - whole.length;
  return { items: whole, failed, ...(failed > 0 && { cause }) };
}

/** Reads events as the optimizer does: whole steps as soon as they are, and the positions after each. */
function read(join: Join, events: readonly Event[], from = 0) {
  const steps: { readonly whole: WholeStep; readonly positions: Positions }[] = [];
  join.forget(from);
  for (const event of events) {
    join.add(event);
    for (let step = from + steps.length; ; step++) {
      const whole = join.whole(step);
      if (!whole) break;
      join.forget(step + 1);
      steps.push({ whole, positions: join.positions() });
    }
  }
  return steps;
}

describe('rollouts with their scores and log-probs', () => {
  it('come out as the same steps in whatever order partitions are read, and however often', () => {
    fc.assert(
      fc.property(log, picks, fc.array(fc.boolean(), { minLength: 1 }), (log, order, twice) => {
        const reading = merge(log, order).flatMap((event, i) =>
          twice[i % twice.length] ? [event, event] : [event],
        );
        const steps = read(createJoin(ofPpo), reading).map(({ whole }) => whole);
        expect(steps).toEqual(Array.from({ length: STEPS }, (_, step) => specified(log, step)));
      }),
    );
  });

  it('come out again from the positions of any step on', () => {
    fc.assert(
      fc.property(log, picks, picks, (log, order, again) => {
        const steps = read(createJoin(ofPpo), merge(log, order));
        steps.forEach(({ positions }, done) => {
          const rest = log.map((partition) =>
            partition.filter(
              ({ topic, partition, offset }) => offset >= (positions[topic]?.[partition] ?? 0),
            ),
          );
          const resumed = read(createJoin({ ...ofPpo, from: positions }), merge(rest, again), done + 1);
          expect(resumed.map(({ whole }) => whole)).toEqual(steps.slice(done + 1).map(({ whole }) => whole));
        });
      }),
    );
  });

  it('are told missing until the step is whole', () => {
    fc.assert(
      fc.property(log, picks, (log, order) => {
        const join = createJoin(ofPpo);
        for (const event of merge(log, order)) {
          const missing = Object.values(join.missing(1)).reduce((sum, count) => sum + count, 0);
          expect(join.whole(1) === undefined).toBe(missing > 0);
          join.add(event);
        }
        expect(join.missing(1)).toEqual({});
      }),
    );
  });
});

describe('one item', () => {
  const [first, second, third, fourth] = idsIn(0, 'train') as [string, string, string, string];
  const feed = (join: Join, events: readonly Unplaced[]) => {
    for (const [offset, event] of events.entries()) join.add(at(event, 0, offset));
  };
  const complete = (id: string, version = 0) => topics.map((topic) => rolloutEvent(topic, id, version));

  it('does not take the score of another policy version', () => {
    const join = joinOfListed();
    const own = rolloutEvent('rewards', first, 1);
    feed(join, [
      rolloutEvent('rollouts', first, 1),
      rolloutEvent('rewards', first, 0),
      rolloutEvent('reference-logprobs', first, 1),
      ...[second, third, fourth].flatMap((id) => complete(id)),
    ]);
    expect(join.whole(0)).toBeUndefined();
    expect(join.missing(0)).toEqual({ rewards: 1 });
    feed(join, [own]);
    expect(join.whole(0)!.train!.items[0]!.reward).toEqual(own.data);
  });

  it.each(topics)('is not dropped for the failure of an older attempt: %s', (topic) => {
    const join = joinOfListed();
    const attempt = topics.map((topic) => rolloutEvent(topic, first, 2));
    const older = rolloutEvent(topic, first, { failed: 1 });
    // The first of two attempts at a rollout counts, whichever it is.
    feed(join, topic === 'rollouts' ? [...attempt, older] : [older, ...attempt]);
    feed(
      join,
      [second, third, fourth].flatMap((id) => complete(id)),
    );
    expect(join.whole(0)).toMatchObject({
      train: { failed: 0, items: [{ id: first }, {}, {}, {}] },
    });
  });

  it('that failed leaves its step whole without it, and still fails after a restart', () => {
    const failure = [rolloutEvent('rollouts', first, 0), rolloutEvent('rewards', first, { failed: 0 })];
    const join = joinOfListed();
    feed(join, failure);
    const resumed = createJoin({ ...ofPpo, from: join.positions() });
    resumed.add(stepListed(0, 0));
    expect(join.positions()).toEqual({ steps: [0, 0], rollouts: [0], rewards: [1] });
    feed(resumed, failure);
    feed(
      resumed,
      [second, third, fourth].flatMap((id) => complete(id)),
    );
    expect(resumed.whole(0)).toMatchObject({
      train: { failed: 1, items: [{ id: second }, { id: third }, { id: fourth }] },
    });
  });

  it('said again after its step holds no position back', () => {
    const join = joinOfListed();
    const said = complete(first);
    feed(join, said);
    join.forget(1);
    for (const [i, event] of said.entries()) join.add(at(event, 0, 10 + i));
    expect(join.positions()).toEqual({
      steps: [0, 1],
      rollouts: [11],
      rewards: [12],
      'reference-logprobs': [13],
    });
  });

  it('of no known step or place is nothing', () => {
    const join = joinOfListed();
    feed(join, [...complete('ppo/0/99/0'), ...complete('ppo/0/0/99'), ...complete(`ppo/${STEPS}/0/0`)]);
    expect(join.missing(0)).toEqual({ rollouts: 4, rewards: 4, 'reference-logprobs': 4 });
    expect(join.whole(STEPS)).toBeUndefined();
  });
});

describe('a step that is not listed yet', () => {
  const first = idsIn(0, 'train')[0]!;
  it('waits for that, and keeps what is read of its items', () => {
    const join = createJoin(ofPpo);
    join.add(at(rolloutEvent('rollouts', first, 0), 2, 7));
    expect(join.missing(0)).toEqual({ steps: 1 });
    expect(join.positions()).toEqual({ rollouts: [0, 0, 7] });
    join.add(stepListed(0, 3));
    expect(join.missing(0)).toEqual({ rollouts: 3, rewards: 4, 'reference-logprobs': 4 });
    expect(join.positions()).toEqual({ steps: [0, 3], rollouts: [0, 0, 7] });
  });

  it('holds no position back once it is past', () => {
    const join = createJoin(ofPpo);
    join.add(at(rolloutEvent('rollouts', first, 0), 2, 7));
    join.forget(1);
    expect(join.positions()).toEqual({ rollouts: [0, 0, 8] });
  });
});

it('the step after the last of an earlier build joins the held-out items, which no event lists', () => {
  const comparison = (index: number): Unplaced => {
    const id = `dpo/1/${index}`;
    const completions = [
      { text: 'a', tokens: [1] },
      { text: 'b', tokens: [2] },
    ];
    const said = { promptText: 'p', promptTokens: [0], completions, ranks: [1, 2], labeler: 'dataset' };
    const data: DataFor<'comparison.recorded'> = {
      run: 'dpo',
      step: 1,
      comparison: id,
      split: 'test',
      ...said,
    };
    return { topic: 'comparisons', type: 'comparison.recorded', data };
  };
  const logprobs = (index: number): Unplaced => ({
    topic: 'reference-logprobs',
    type: 'reference.scored',
    data: { run: 'dpo', step: 1, subject: `dpo/1/${index}`, logprobs: [[-1], [-2]], reference },
  });
  const dpo = parseRunConfig({ run: 'dpo', method: 'dpo', model: 'm', data: 'd', steps: 1, batchSize: 1 });
  const join = createJoin({
    run: 'dpo',
    streams: specOf(dpo).streams,
    steps: 2,
    listed: (step) => ({
      run: 'dpo',
      step,
      streams: earlierStreams(dpo, { steps: 1, testItems: 2 }, step),
    }),
  });
  // The second item's log-probs are read before the item.
  join.add(at(logprobs(1), 0, 0));
  expect(join.missing(1)).toEqual({ comparisons: 2, 'reference-logprobs': 2 });
  join.add(at(comparison(0), 0, 0));
  join.add(at(comparison(1), 0, 1));
  expect(join.missing(1)).toEqual({ 'reference-logprobs': 1 });
  join.add(at(logprobs(0), 0, 1));
  expect(
    join
      .whole(1)!
      .evaluation!.items.map(({ id, comparison, reference }) => [
        id,
        comparison?.comparison,
        reference?.subject,
      ]),
  ).toEqual([
    ['dpo/1/0', 'dpo/1/0', 'dpo/1/0'],
    ['dpo/1/1', 'dpo/1/1', 'dpo/1/1'],
  ]);
});
