import { type DataFor, type EventType, encodeEvent } from '@rlhf-streams/events';
import { type ConfigOf, idsOf, parseRunConfig, type RunConfig, specOf, stepsOf } from '@rlhf-streams/runs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAnswerable, issuable, itemEvents, planStep, type RunItems, type StartedRun } from './steps.js';

const STEPS = 3;
const BATCH = 4;
const common = { run: 'r', steps: STEPS, batchSize: BATCH, model: 'model', seed: 5 };
const sampling = { temperature: 0.5, maxNewTokens: 9 };
const prompting = { ...common, prompts: 'd', samplesPerPrompt: 2, timeoutMs: 1234, sampling };
const configs = {
  sft: parseRunConfig({ ...common, method: 'sft', data: 'd' }),
  reward: parseRunConfig({ ...common, method: 'reward', data: 'd' }),
  dpo: parseRunConfig({ ...common, method: 'dpo', data: 'd' }),
  kto: parseRunConfig({ ...common, method: 'kto', data: 'd' }),
  ppo: parseRunConfig({ ...prompting, method: 'ppo', scorers: ['gold:d'], maxStaleness: 1 }),
  sample: parseRunConfig({ ...prompting, method: 'sample' }),
};

type Split = 'train' | 'test';
/** The first prompt token says which item it is. */
const demonstration = (split: Split, n: number) => ({ split, promptTokens: [n], tokens: [7] });
const prompt = (split: Split, n: number) => ({ split, text: `prompt ${n}`, tokens: [n] });
const comparison = (split: Split, n: number) => ({
  split,
  promptText: `prompt ${n}`,
  promptTokens: [n],
  completions: [
    { text: 'a', tokens: [n] },
    { text: 'b', tokens: [n + 1], score: 1 },
  ],
  ranks: [1, 2],
  labeler: 'dataset',
});
const thumb = (split: Split, n: number) => ({
  split,
  promptText: `prompt ${n}`,
  promptTokens: [n],
  text: 'a',
  tokens: [n],
  label: n % 2 === 0,
  mismatched: [n + 1],
  labeler: 'dataset',
});
const makers = { demonstrations: demonstration, comparisons: comparison, thumbs: thumb, prompts: prompt };
const itemsFor = (config: RunConfig, train = 6, test = 5): RunItems => {
  const make = makers[specOf(config).data.kind];
  const items = (split: Split, count: number) => Array.from({ length: count }, (_, n) => make(split, n));
  return { train: items('train', train), test: items('test', test), stopTokens: [0] };
};

const viewOf = (config: RunConfig, { train, test }: Pick<RunItems, 'train' | 'test'>): StartedRun => {
  const { data, streams } = specOf(config);
  const counts = { train: train.length, test: test.length };
  const drawn = streams.map(({ name, split }) => ({
    stream: name,
    kind: data.kind,
    split,
    items: counts[split],
  }));
  return {
    run: config.run,
    config,
    steps: config.steps!,
    streams: drawn.filter(({ items }) => items > 0),
    testItems: test.length,
  };
};
/** The same run, if an earlier build had started it. */
const earlier = ({ streams: _, ...view }: StartedRun): StartedRun => view;
const planned = (config: RunConfig, items: RunItems, step: number) =>
  planStep(viewOf(config, items), items, step);
const eventsOf = (config: RunConfig, items: RunItems, step: number) =>
  itemEvents({ config }, items, planned(config, items, step));
const trained = (config: RunConfig, items: RunItems, step: number) =>
  itemEvents({ config }, items, planned(config, items, step), ({ stream }) => stream === 'train');

describe.each(Object.entries(configs))('steps of a %s run', (_, config) => {
  const items = itemsFor(config);

  it('are the same when issued again', () => {
    for (let step = 0; step < STEPS; step++)
      expect(eventsOf(config, items, step)).toEqual(eventsOf(config, items, step));
  });

  it('hold a batch each, of events with ids from their place, that the schemas accept', () => {
    for (let step = 0; step < STEPS; step++) {
      const events = eventsOf(config, items, step);
      const [first, ...others] = idsOf(planned(config, items, step)).map(({ issued }) => issued);
      expect(first).toEqual(Array.from({ length: BATCH }, (_, index) => `r/${step}/${index}`));
      expect(events.map(({ id }) => id)).toEqual([...first!, ...others.flat()]);
      for (const { type, id, data } of events) {
        const { key, headers } = encodeEvent(type as EventType, data as DataFor<EventType>, {
          id,
          source: 'coordinator',
        });
        expect([key, headers.ce_id]).toEqual([id, id]);
        expect(data).toMatchObject({ run: 'r', step });
      }
    }
  });

  it('visit every training item once an epoch, and no other', () => {
    const visited = [0, 1, 2]
      .flatMap((step) => trained(config, items, step))
      .map(
        ({ data }) =>
          ('promptTokens' in data ? data.promptTokens : (data as DataFor<'prompt.issued'>).tokens)[0]!,
      );
    for (const epoch of [visited.slice(0, 6), visited.slice(6)])
      expect(epoch.toSorted()).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('depend on the seed of the run', () => {
    const other = { ...config, seed: 6 } as RunConfig;
    const order = (config: RunConfig) =>
      eventsOf(config, itemsFor(config, 100), 0).map(({ data }) => ({ ...data, seed: 0 }));
    expect(order(other)).not.toEqual(order(config));
  });
});

describe('held-out items', () => {
  const methods = ['sft', 'reward', 'dpo'] as const;
  it.each(methods)('of a %s run are a stream of its last step, in their order', (method) => {
    const items = itemsFor(configs[method]);
    const streams = [0, 1, 2].map((step) =>
      planned(configs[method], items, step).streams.map(({ stream }) => stream),
    );
    expect(streams).toEqual([['train'], ['train'], ['train', 'evaluation']]);
    const events = eventsOf(configs[method], items, STEPS - 1).slice(BATCH);
    expect(events.map(({ id }) => id)).toEqual(
      items.test.map((_, index) => `r/${STEPS - 1}/${BATCH + index}`),
    );
    events.forEach(({ data }, index) => {
      expect(data).toMatchObject({ ...items.test[index], split: 'test' });
    });
  });

  it.each(methods)('of a %s run that an earlier build started are one more step', (method) => {
    const config = configs[method];
    const items = itemsFor(config);
    const view = earlier(viewOf(config, items));
    const steps = [0, 1, 2, 3].map((step) => planStep(view, items, step));
    expect(steps.map(({ streams }) => streams.map(({ stream }) => stream))).toEqual([
      ['train'],
      ['train'],
      ['train'],
      ['evaluation'],
    ]);
    // The build that issues what an earlier one has issued draws the same.
    expect(steps[1]!.streams).toEqual(planned(config, items, 1).streams);
    expect(itemEvents({ config }, items, steps[3]!)).toHaveLength(items.test.length);
  });

  it('are measured every so many steps, too, where a run says so', () => {
    const config = parseRunConfig({
      ...common,
      method: 'sft',
      data: 'd',
      steps: 5,
      testFraction: 0.1,
      evaluateEvery: 2,
    });
    const measured = [0, 1, 2, 3, 4].map((step) => planned(config, itemsFor(config), step).streams.length);
    expect(measured).toEqual([1, 2, 1, 2, 2]);
  });

  it('of a run that samples are prompts for the version that the step starts from, however stale others may be', () => {
    const config = parseRunConfig({
      ...prompting,
      method: 'ppo',
      scorers: ['gold:d'],
      maxStaleness: 2,
      evaluateEvery: 2,
      maxTestItems: 3,
    });
    const items = itemsFor(config);
    expect(planned(config, items, 0).streams).toHaveLength(1);
    const step = planned(config, items, 1);
    const [train, evaluation] = step.streams;
    expect(train).toMatchObject({ samples: 2, minPolicyVersion: 0 });
    expect(evaluation).toEqual({
      stream: 'evaluation',
      kind: 'prompts',
      split: 'test',
      rows: { from: 0, count: 3 },
      samples: 1,
      minPolicyVersion: 1,
    });
    // Until the version exists no service could answer.
    expect([0, 1].map((completed) => step.streams.map((stream) => isAnswerable(stream, completed)))).toEqual([
      [true, false],
      [true, true],
    ]);
    const held = itemEvents({ config }, items, step, ({ stream }) => stream === 'evaluation');
    expect(held.map(({ id, data }) => [id, (data as DataFor<'prompt.issued'>).text])).toEqual(
      [0, 1, 2].map((index) => [`r/1/${BATCH + index}`, `prompt ${index}`]),
    );
  });

  it('of a run that has none are no stream', () => {
    const items = itemsFor(configs.dpo, 6, 0);
    expect(planned(configs.dpo, items, STEPS - 1).streams).toHaveLength(1);
  });
});

describe('a stream with data of its own', () => {
  const config = parseRunConfig({
    ...prompting,
    method: 'ppo',
    scorers: ['gold:d'],
    evaluateEvery: 1,
    pretraining: 'texts',
    pretrainingBatchSize: 3,
    ppo: { ptxCoef: 1 },
  });
  const texts = Array.from({ length: 9 }, (_, n) => ({ ...demonstration('train', n), tokens: [8, n] }));
  const items: RunItems = { ...itemsFor(config), further: { pretraining: { train: texts, test: [] } } };
  const view: StartedRun = {
    ...viewOf(config, items),
    streams: [
      ...viewOf(config, items).streams!.slice(0, 2),
      { stream: 'pretraining', kind: 'demonstrations', dataset: 'pretraining', split: 'train', items: 9 },
    ],
  };
  const steps = [0, 1, 2].map((step) => planStep(view, items, step));

  it('is listed with the name of its data, and needs no version of the policy', () => {
    for (const { streams } of steps) {
      expect(streams.map(({ stream }) => stream)).toEqual(['train', 'evaluation', 'pretraining']);
      expect(streams[2]).toMatchObject({ kind: 'demonstrations', dataset: 'pretraining', split: 'train' });
      expect(isAnswerable(streams[2]!, 0)).toBe(true);
    }
  });

  it('visits each of its items once in an epoch of its own, as events with ids behind all others', () => {
    const events = steps.flatMap((step) =>
      itemEvents({ config }, items, step, ({ stream }) => stream === 'pretraining'),
    );
    expect(events.map(({ type }) => type)).toEqual(Array(9).fill('demonstration.recorded'));
    expect(events.map(({ id }) => id)).toEqual(
      [0, 1, 2].flatMap((step) => [0, 1, 2].map((index) => `r/${step}/${BATCH + 5 + index}`)),
    );
    const visited = events.map(({ data }) => (data as DataFor<'demonstration.recorded'>).tokens[1]!);
    expect(visited.toSorted()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('changes no other stream', () => {
    const { pretraining: _, pretrainingBatchSize: __, ...rest } = config as ConfigOf<'ppo'>;
    const { ptxCoef: ___, ...ppo } = rest.ppo;
    const without = parseRunConfig({ ...rest, ppo });
    steps.forEach(({ streams }, step) => {
      expect(streams.slice(0, 2)).toEqual(planned(without, itemsFor(without), step).streams);
    });
  });
});

describe('prompts', () => {
  it('carry everything their sampling depends on', () => {
    expect(eventsOf(configs.ppo, itemsFor(configs.ppo), 2)[0]).toMatchObject({
      type: 'prompt.issued',
      id: 'r/2/0',
      data: {
        run: 'r',
        step: 2,
        prompt: 'r/2/0',
        samples: 2,
        minPolicyVersion: 1,
        sampling: { temperature: 0.5, topK: 0, topP: 1, maxNewTokens: 9, stopTokens: [0] },
        seed: 5,
        timeoutMs: 1234,
      },
    });
  });

  it('are drawn once where a run asks for that: its last step has what is left, and there is nothing behind it', () => {
    const config = parseRunConfig({ ...prompting, method: 'sample', once: true });
    const items = itemsFor(config, 6);
    const drawn = [0, 1, 2].map((step) => eventsOf(config, items, step).map(({ data }) => data));
    expect(drawn.map(({ length }) => length)).toEqual([4, 2, 0]);
    const texts = drawn.flat().map((data) => (data as DataFor<'prompt.issued'>).text);
    expect(new Set(texts).size).toBe(6);
  });

  it('held out of training are sampled from where a run asks for them', () => {
    const config = parseRunConfig({ ...prompting, method: 'sample', testPrompts: true, batchSize: 5 });
    const items = itemsFor(config, 6, 5);
    const marked = { ...items, test: items.test.map((item) => ({ ...item, text: 'held out' })) };
    expect(eventsOf(config, marked, 0).map(({ data }) => data)).toMatchObject(
      Array.from({ length: 5 }, () => ({ text: 'held out' })),
    );
  });
});

describe('issuable', () => {
  const run = fc.record({
    steps: fc.integer({ min: 1, max: 30 }),
    maxStaleness: fc.nat({ max: 4 }),
    testItems: fc.nat({ max: 2 }),
    isEarlier: fc.boolean(),
  });

  it('issues every step once, in order, and never so early that a rollout could be too stale', () => {
    fc.assert(
      fc.property(run, fc.infiniteStream(fc.nat()), ({ steps, maxStaleness }, chance) => {
        const config = parseRunConfig({
          ...prompting,
          method: 'ppo',
          scorers: ['gold:d'],
          steps,
          maxStaleness,
        });
        const items = itemsFor(config);
        const view = viewOf(config, items);
        const draw = (below: number) => chance.next().value! % below;
        const issued: number[] = [];
        // The optimizer completes steps in order: their number is the version of its newest policy.
        let version = 0;
        while (version < steps) {
          issued.push(...issuable(view, { issued: issued.length, completed: version }));
          // A policy service may lag behind the newest version, as far as the prompt lets it.
          for (const step of issued.slice(version)) {
            const [stream] = planStep(view, items, step).streams;
            const oldest = stream!.minPolicyVersion!;
            expect(isAnswerable(stream!, version)).toBe(true);
            expect(oldest).toBeLessThanOrEqual(version);
            const generatedBy = oldest + draw(version - oldest + 1);
            expect(step - generatedBy).toBeLessThanOrEqual(maxStaleness);
          }
          expect(issued.length).toBeGreaterThan(version);
          version += 1 + draw(issued.length - version);
        }
        expect(issued).toEqual(Array.from({ length: steps }, (_, step) => step));
      }),
    );
  });

  it('issues a dataset prefetchSteps ahead, the extra step of an earlier build included', () => {
    fc.assert(
      fc.property(run, fc.integer({ min: 1, max: 9 }), ({ steps, testItems, isEarlier }, prefetchSteps) => {
        const config = parseRunConfig({ ...common, method: 'sft', data: 'd', steps, prefetchSteps });
        const whole = viewOf(config, itemsFor(config, 6, testItems));
        const view = isEarlier ? earlier(whole) : whole;
        const all = steps + (isEarlier && testItems > 0 ? 1 : 0);
        expect(stepsOf(view)).toBe(all);
        const issued: number[] = [];
        for (let completed = 0; completed < all; completed++) {
          issued.push(...issuable(view, { issued: issued.length, completed }));
          expect(issued.length).toBe(Math.min(all, completed + prefetchSteps + 1));
        }
        expect(issued).toEqual(Array.from({ length: all }, (_, step) => step));
      }),
    );
  });

  it('issues nothing twice when progress is told late or again', () => {
    expect(issuable(viewOf(configs.ppo, itemsFor(configs.ppo)), { issued: 3, completed: 0 })).toEqual([]);
    expect(issuable(viewOf(configs.ppo, itemsFor(configs.ppo)), { issued: 3, completed: 3 })).toEqual([]);
  });
});
