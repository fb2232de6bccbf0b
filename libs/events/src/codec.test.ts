import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dataOf } from './arbitrary-events.test.support.js';
import { decodeEvent, type EncodedEvent, encodeEvent } from './codec.js';
import type { EventDefinition } from './define.js';
import { EventError } from './errors.js';
import { type DataFor, type EventType, type TopicName, topics } from './topics.js';

const types = Object.keys(dataOf) as EventType[];
const about = { id: 'r/0/0', source: 'test' };
const encode = (type: EventType, data: unknown) => encodeEvent(type, data as DataFor<EventType>, about);
const decode = ({ topic, value, headers }: Pick<EncodedEvent, 'topic' | 'value' | 'headers'>) =>
  decodeEvent(topic, { value: Buffer.from(value), headers });

const errorOf = (work: () => unknown): EventError => {
  try {
    work();
  } catch (error) {
    if (error instanceof EventError) return error;
    throw error;
  }
  throw new Error('expected an EventError, got none');
};

const generated: DataFor<'rollout.generated'> = {
  run: 'r',
  step: 3,
  prompt: 'r/3/1',
  rollout: 'r/3/1/0',
  role: 'policy',
  promptText: 'once',
  promptTokens: [0, 4],
  text: ' upon',
  tokens: [5, 6],
  logprobs: [-1, -0.25],
  policyVersion: 3,
  finishReason: 'stop',
  temperature: 0.7,
};

describe('events of every type', () => {
  it('are all generated here, once', () => {
    const registered = Object.values(topics).flatMap(({ events }) => events.map(({ type }) => type));
    expect(types.toSorted()).toEqual(registered.toSorted());
  });

  it.each(types)('%s comes back as it was', (type) => {
    fc.assert(
      fc.property(dataOf[type] as fc.Arbitrary<DataFor<EventType>>, (data) => {
        const record = encode(type, data);
        expect(topics[record.topic].events.map((event) => event.type)).toContain(type);
        expect(record.key).toMatch(/./);
        expect(decode(record)).toEqual({ type, data });
      }),
      { numRuns: 50 },
    );
  });

  it.each(types)('%s without any one of its required fields is refused by the name of the field', (type) => {
    fc.assert(
      fc.property(dataOf[type] as fc.Arbitrary<Record<string, unknown>>, fc.nat(), (data, n) => {
        const optional = [
          'from',
          'policyVersion',
          'margin',
          'metadata',
          'checkpoint',
          'published',
          'applied',
          ...(type === 'run.started' ? ['streams'] : []),
          ...(type === 'run.completed' ? ['reason'] : []),
          ...(type === 'rollout.generated' ? ['sampler'] : []),
          'role',
          'messages',
          'tools',
          'learned',
          'experiment',
          'order',
          'tags',
        ];
        const required = Object.keys(data).filter((name) => !optional.includes(name));
        const missing = required[n % required.length]!;
        const { [missing]: _, ...rest } = data;
        const error = errorOf(() => encode(type, rest));
        expect(error.code).toBe('EVENT_INVALID');
        expect(error.message).toContain(`not a ${type} event`);
        expect(error.message).toContain(`at ${missing}`);
      }),
      { numRuns: 10 },
    );
  });
});

describe('headers', () => {
  it("are CloudEvents' in binary mode, with the trace context if there is one", () => {
    const time = new Date('2026-11-05T12:00:00Z');
    const { headers } = encodeEvent('rollout.generated', generated, {
      ...about,
      time,
      traceparent: '00-1-2-01',
    });
    expect(headers).toEqual({
      ce_specversion: '1.0',
      ce_id: 'r/0/0',
      ce_type: 'rollout.generated',
      ce_source: 'test',
      ce_time: '2026-11-05T12:00:00.000Z',
      ce_schemaversion: '2',
      'content-type': 'application/json',
      traceparent: '00-1-2-01',
    });
    expect(encodeEvent('run.paused', { run: 'r' }, about).headers).not.toHaveProperty('traceparent');
  });
});

describe('an event of a plain client', () => {
  it('needs no header but its type, and no field but those of its schema', () => {
    const { value } = encode('rollout.generated', generated);
    const extended = JSON.stringify({ ...JSON.parse(value), mine: 1 });
    for (const text of [value, extended])
      expect(
        decodeEvent('rollouts', { value: Buffer.from(text), headers: { ce_type: 'rollout.generated' } }),
      ).toEqual({ type: 'rollout.generated', data: generated });
  });
});

describe('the version of an event', () => {
  const versioned = (type: EventType, topic: TopicName, data: unknown, version: string) =>
    decodeEvent(topic, {
      value: Buffer.from(JSON.stringify(data)),
      headers: { ce_type: type, ce_schemaversion: version },
    });

  it.each(types)('%s is read up to its own, and refused from the next on', (type) => {
    const [data] = fc.sample(dataOf[type] as fc.Arbitrary<DataFor<EventType>>, 1);
    const { topic, headers } = encode(type, data);
    const own = Number(headers.ce_schemaversion);
    const { earlier = {} }: EventDefinition = topics[topic].events.find((event) => event.type === type)!;
    for (let version = 1; version <= own; version++)
      if (!earlier[version]) expect(versioned(type, topic, data, `${version}`)).toEqual({ type, data });
    const error = errorOf(() => versioned(type, topic, data, `${own + 1}`));
    expect(error.code).toBe('EVENT_TOO_NEW');
    expect(error.message).toContain(`${type} event of schema version ${own} at most, got version ${own + 1}`);
    expect(error.message).toContain('upgrade');
  });

  it('is told before its data, which only a newer build can read', () => {
    const error = errorOf(() => versioned('rollout.generated', 'rollouts', { other: 'shape' }, '3'));
    expect(error.code).toBe('EVENT_TOO_NEW');
  });

  it.each(['0', '-1', '1.0', 'two', ''])('is a whole number from 1 on, not %j', (version) => {
    const error = errorOf(() => versioned('rollout.generated', 'rollouts', generated, version));
    expect(error.code).toBe('EVENT_INVALID');
    expect(error.message).toContain(`got ${JSON.stringify(version)}`);
  });
});

describe('data of an earlier version', () => {
  const ref = (digit: string) => ({ uri: `artifact:${digit}`, sha256: digit.repeat(64) });
  const at = { run: 'r', step: 3 };
  const describedAs = (kind: string) => ({ source: 'somewhere', kind });
  const recorded = (kind: string, digit: string) => ({ ...describedAs(kind), artifact: ref(digit) });
  const started = { run: 'r', steps: 1, testItems: 0, from: {} };
  const scorers = ['run:rm', 'gold:bundled'];
  const used = { policy: ref('1'), 'scorer.0': ref('2'), 'scorer.1': ref('3'), items: ref('4') };
  const models = { policy: { base: ref('1') }, 'scorer.0': { base: ref('2') } };
  const artifacts = { 'scorer.1': ref('3'), items: ref('4') };
  const published = { run: 'r', version: 3, step: 3, checkpoint: { step: 2, artifact: ref('5') } };

  it.each([
    ['policy.published', { ...published, artifact: ref('1') }, { ...published, model: { base: ref('1') } }],
    [
      'step.completed',
      { ...at, policyVersion: 4, split: 'train', metrics: {}, published: ref('1') },
      { ...at, policyVersion: 4, split: 'train', metrics: {}, published: { base: ref('1') } },
    ],
    [
      'step.completed',
      { ...at, policyVersion: 4, split: 'train', metrics: {} },
      { ...at, policyVersion: 4, split: 'train', metrics: {} },
    ],
    [
      'reference.scored',
      { ...at, subject: 'r/3/0/0', logprobs: [[-1]], reference: ref('1') },
      { ...at, subject: 'r/3/0/0', logprobs: [[-1]], reference: { base: ref('1') } },
    ],
    [
      'run.started',
      {
        ...started,
        config: { scorers: ['run:rm', 'somewhere'] },
        artifacts: used,
        models: {
          policy: recorded('language model', '1'),
          'scorer.0': recorded('reward model', '2'),
          'scorer.1': recorded('gold reward', '3'),
        },
      },
      {
        ...started,
        config: { scorers: ['run:rm', 'somewhere'] },
        models,
        artifacts,
        described: {
          policy: describedAs('language model'),
          'scorer.0': describedAs('reward model'),
          'scorer.1': describedAs('gold reward'),
        },
      },
    ],
    // A replay did not say what its models are.
    [
      'run.started',
      { ...started, config: { scorers, replay: 'q' }, artifacts: used },
      { ...started, config: { scorers, replay: 'q' }, models, artifacts },
    ],
  ] as const)('%s is read in the shape of today', (type, written, read) => {
    const [topic] = (Object.keys(topics) as TopicName[]).filter((name) =>
      topics[name].events.some((event) => event.type === type),
    );
    for (const version of ['1', undefined]) {
      const headers = { ce_type: type, ...(version && { ce_schemaversion: version }) };
      const value = Buffer.from(JSON.stringify(written));
      expect(decodeEvent(topic!, { value, headers })).toEqual({ type, data: read });
    }
  });

  it('is checked too, and its mistakes named', () => {
    const value = Buffer.from(JSON.stringify({ ...published, artifact: { uri: 'x', sha256: 'short' } }));
    const headers = { ce_type: 'policy.published', ce_schemaversion: '1' };
    const error = errorOf(() => decodeEvent('policy-versions', { value, headers }));
    expect(error).toMatchObject({
      code: 'EVENT_INVALID',
      message: expect.stringContaining('artifact.sha256'),
    });
  });
});

describe('feedback', () => {
  const feedback = {
    feedback: 'ticket-1',
    collection: 'support',
    prompt: 'How?',
    completions: ['So.', 'No.', 'Perhaps.'],
    ranks: [1, 2, 2],
    labeler: 'agent-7',
  };
  const thumb = { completions: undefined, ranks: undefined, completion: 'So.', label: true };

  it('of an earlier build, which knew rankings alone, is read', () => {
    const value = Buffer.from(JSON.stringify(feedback));
    const headers = { ce_type: 'feedback.recorded', ce_schemaversion: '1' };
    expect(decodeEvent('feedback', { value, headers }).data).toEqual(feedback);
  });

  it.each([
    ['without an id', { feedback: '' }, 'feedback'],
    ['of a collection no run could name', { collection: 'a b' }, 'collection'],
    ['of one completion', { completions: ['So.'], ranks: [1] }, 'completions'],
    ['with a completion that is no text', { completions: ['So.', 7, 'x'] }, 'completions[1]'],
    ['with text that no tokenizer takes', { prompt: 'a\ud800' }, 'well-formed'],
    ['with too few ranks', { ranks: [1, 2] }, 'one rank a completion'],
    ['ranked from 0', { ranks: [0, 1, 2] }, 'ranks[0]'],
    ['without ranks', { ranks: undefined }, 'at ranks'],
    ['of a ranking and a thumb', { completion: 'So.', label: true }, 'some of both'],
    ['of neither', { completions: undefined, ranks: undefined }, 'neither'],
    ['of a thumb without its direction', { ...thumb, label: undefined }, 'at label'],
    ['of a thumb for nothing', { ...thumb, completion: undefined }, 'at completion'],
    ['of a thumb that is no boolean', { ...thumb, label: 'up' }, 'at label'],
    ['of a thumb with a margin', { ...thumb, margin: 1 }, 'some of both'],
  ])('%s is refused', (_, change, said) => {
    const error = errorOf(() => encode('feedback.recorded', { ...feedback, ...change }));
    expect(error.code).toBe('EVENT_INVALID');
    expect(error.message).toContain(said);
  });
});

describe('what is no event', () => {
  const record = encode('rollout.generated', generated);
  const withData = (change: object) => ({ ...record, value: JSON.stringify({ ...generated, ...change }) });

  it.each([
    ['a wrong type', { policyVersion: '3' }, 'policyVersion'],
    ['an empty list', { tokens: [], logprobs: [] }, 'tokens'],
    ['a mistake within a list', { promptTokens: [0, -4] }, 'promptTokens[1]'],
    ['lists that do not match', { logprobs: [-1] }, 'one log-prob a token'],
    ['a probability above 1', { logprobs: [-1, 0.5] }, 'logprobs[1]'],
    ['an unknown word', { finishReason: 'bored' }, 'finishReason'],
    ['an impossible run id', { run: '../etc' }, 'run'],
  ])('%s is named by its path', (_, change, path) => {
    const error = errorOf(() => decode(withData(change)));
    expect(error.code).toBe('EVENT_INVALID');
    expect(error.message).toContain(path);
    expect(errorOf(() => encode('rollout.generated', { ...generated, ...change })).message).toBe(
      error.message,
    );
  });

  it('names every mistake, not only the first', () => {
    const { message } = errorOf(() => decode(withData({ step: -1, temperature: -1, text: 7 })));
    for (const path of ['step', 'temperature', 'text']) expect(message).toContain(`at ${path}`);
  });

  it('a type of another topic is refused with the types of this one', () => {
    const error = errorOf(() => decode({ ...record, topic: 'rewards' }));
    expect(error.code).toBe('EVENT_UNKNOWN_TYPE');
    expect(error.message).toMatch(/reward\.scored, reward\.failed on topic rewards, got rollout\.generated/);
  });

  it.each([
    ['unknown', { ce_type: 'rollout.imagined' }, 'got rollout.imagined'],
    ['absent', {}, 'got none'],
    ["a name of JavaScript's", { ce_type: 'constructor' }, 'got constructor'],
  ])('a type that is %s', (_, headers, came) => {
    const error = errorOf(() => decode({ ...record, headers: headers as Record<string, string> }));
    expect(error.code).toBe('EVENT_UNKNOWN_TYPE');
    expect(error.message).toContain(came);
  });

  it('any bytes are an event or an EventError, never something else', () => {
    const bytes = fc.oneof(
      fc.uint8Array(),
      fc.json().map((text) => Buffer.from(text)),
    );
    fc.assert(
      fc.property(
        bytes,
        fc.constantFrom(...types),
        fc.constantFrom(...(Object.keys(topics) as TopicName[])),
        (value, type, topic) => {
          try {
            decodeEvent(topic, { value, headers: { ce_type: type } });
          } catch (error) {
            expect(error).toBeInstanceOf(EventError);
          }
        },
      ),
    );
  });

  it('text that is not JSON', () => {
    const error = errorOf(() => decode({ ...record, value: '{"run": ' }));
    expect(error).toMatchObject({ code: 'EVENT_NOT_JSON', cause: expect.any(SyntaxError) });
  });
});

describe('keys', () => {
  it('of all events of one prompt are equal: they share a partition, in order', () => {
    const about = fc.tuple(dataOf['prompt.issued'], fc.nat(), fc.nat());
    fc.assert(
      fc.property(
        about,
        dataOf['rollout.generated'],
        dataOf['reward.scored'],
        dataOf['reward.failed'],
        ([prompt, a, b], rollout, scored, failed) => {
          const sample = (n: number) => ({
            run: prompt.run,
            step: prompt.step,
            prompt: prompt.prompt,
            rollout: `${prompt.prompt}/${n}`,
          });
          const keys = [
            encode('prompt.issued', prompt),
            encode('rollout.generated', { ...rollout, ...sample(a) }),
            encode('rollout.generated', { ...rollout, ...sample(b) }),
            encode('reward.scored', { ...scored, ...sample(a) }),
            encode('reward.failed', { ...failed, ...sample(b) }),
          ].map(({ key }) => key);
          expect(new Set(keys)).toEqual(new Set([prompt.prompt]));
        },
      ),
    );
  });
});
