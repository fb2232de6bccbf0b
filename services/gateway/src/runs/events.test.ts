import type { NewEvent } from '@rlhf-streams/bus';
import type { DataFor } from '@rlhf-streams/events';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { expectProblem, facts, startGateway, type TestGateway } from '../gateway.test.support.js';

let gateway: TestGateway;
/** Reads of the log under way that wait for what is to come. */
let followers = 0;
/** Records that were read from the log. */
let recordsRead = 0;
beforeEach(async () => {
  gateway = await startGateway({
    wrap: (log) => ({
      ...log,
      read: async function* (options) {
        if (options.follow) followers++;
        try {
          for await (const batch of log.read(options)) {
            recordsRead += batch.records.length;
            yield batch;
          }
        } finally {
          if (options.follow) followers--;
        }
      },
    }),
  });
});
afterEach(() => gateway.close());

interface Message {
  readonly id: string;
  readonly event: string;
  readonly data: {
    readonly id: string;
    readonly type: string;
    readonly topic: string;
    readonly data: unknown;
  };
}

async function open(path: string, lastEventId?: string): Promise<{ response: Response; leave: () => void }> {
  const leaving = new AbortController();
  const response = await fetch(`${gateway.service.url}${path}`, {
    signal: leaving.signal,
    headers: lastEventId === undefined ? {} : { 'last-event-id': lastEventId },
  });
  return { response, leave: () => leaving.abort() };
}

/** Messages of an event stream, as the HTML standard reads them; comments are left out. */
async function* messages({ body }: Response): AsyncGenerator<Message, void> {
  let text = '';
  for await (const chunk of body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const lines = text.slice(0, end).split('\n');
      text = text.slice(end + 2);
      const field = (name: string) =>
        lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      if (field('data')) yield { id: field('id')!, event: field('event')!, data: JSON.parse(field('data')!) };
    }
  }
}

/** Receives `count` messages, then leaves. */
async function take(count: number, path: string, lastEventId?: string): Promise<Message[]> {
  const { response, leave } = await open(path, lastEventId);
  const taken: Message[] = [];
  for await (const message of messages(response)) {
    taken.push(message);
    if (taken.length === count) break;
  }
  leave();
  return taken;
}

const idsOf = (received: readonly Message[]) => received.map(({ data }) => data.id);
const idOf = ({ id }: NewEvent) => id;

/** Publishes what makes a run known to the gateway. */
async function begin(...runs: readonly string[]): Promise<void> {
  await gateway.events.publish(runs.map(facts.requested));
  for (const run of runs) {
    const known = async () => expect((await gateway.get(`/v1/runs/${run}`)).status).toBe(200);
    await vi.waitFor(known, { timeout: 20_000, interval: 2 });
  }
}

describe('GET /v1/runs/{run}/events', () => {
  it('tells what was, what comes, and ends with the end of the run', async () => {
    await begin('r1', 'r2');
    await gateway.events.publish([facts.started('r1'), facts.started('r2')]);
    const { response } = await open('/v1/runs/r1/events');
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    const received: Message[] = [];
    for await (const message of messages(response)) {
      received.push(message);
      if (message.event === 'run.started') {
        await gateway.events.publish([facts.step('r2', 0), facts.step('r1', 0), facts.published('r1', 1)]);
      }
      if (received.length === 4)
        await gateway.events.publish([facts.scored('r1', 0, 0), facts.completed('r1')]);
    }
    expect(idsOf(received.slice(0, 2))).toEqual(['r1/requested', 'r1/started']);
    expect(idsOf(received.slice(2, 4)).sort()).toEqual(['r1/0', 'r1/policy/1']);
    expect(idsOf(received.slice(4))).toEqual(['r1/completed']);
    expect(received[1]).toMatchObject({
      event: 'run.started',
      data: {
        type: 'run.started',
        topic: 'runs',
        time: expect.stringMatching(/Z$/),
        data: { run: 'r1', steps: 4 },
      },
    });
  });

  it('sends everything before the end, wherever it stands in the log', async () => {
    await begin('r1');
    const steps = Array.from({ length: 20 }, (_, step) => facts.step('r1', step));
    const late = facts.waiting('r1', 3);
    await gateway.events.publish([facts.failed('r1'), late, ...steps, facts.published('r1', 4)]);
    const received = await take(Number.POSITIVE_INFINITY, '/v1/runs/r1/events');
    expect(idsOf(received).at(-1)).toBe('r1/failed');
    expect(idsOf(received).sort()).toEqual(
      ['r1/requested', 'r1/failed', 'r1/policy/4', ...steps.map(idOf)].sort(),
    );
  });

  it('follows further topics when asked to', async () => {
    await begin('r1', 'r2');
    const scores = [0, 1, 2].map((index) => facts.scored('r1', 0, index));
    await gateway.events.publish([...scores, facts.scored('r2', 0, 0), facts.completed('r1')]);
    const plain = await take(Number.POSITIVE_INFINITY, '/v1/runs/r1/events');
    expect(idsOf(plain)).toEqual(['r1/requested', 'r1/completed']);
    const more = await take(Number.POSITIVE_INFINITY, '/v1/runs/r1/events?topics=rewards,prompts');
    expect(idsOf(more).sort()).toEqual(['r1/requested', 'r1/completed', ...scores.map(idOf)].sort());
  });

  it('goes on from any event without gap or repetition', async () => {
    let number = 0;
    const history = fc.array(
      fc.record({
        run: fc.constantFrom('own', 'other'),
        kind: fc.constantFrom('step', 'published', 'scored'),
      }),
      { minLength: 1, maxLength: 30 },
    );
    const cuts = fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(history, cuts, fc.nat(30), fc.boolean(), async (kinds, lengths, later, scores) => {
        const own = `own-${number}`;
        const other = `other-${number++}`;
        await begin(own, other);
        const events = kinds.map(({ run, kind }, index): NewEvent => {
          const name = run === 'own' ? own : other;
          return kind === 'scored'
            ? facts.scored(name, index, 0)
            : facts[kind as 'step' | 'published'](name, index);
        });
        const isMine = ({ type, data }: NewEvent) =>
          'run' in data && data.run === own && (scores || type !== 'reward.scored');
        const mine = [facts.requested(own), ...events, facts.completed(own)].filter(isMine);
        await gateway.events.publish(events.slice(0, later));

        const path = `/v1/runs/${own}/events?topics=${scores ? 'rewards' : 'runs'}`;
        const received: Message[] = [];
        const collect = async (count: number) =>
          received.push(...(await take(count, path, received.at(-1)?.id)));
        const there = 1 + events.slice(0, later).filter(isMine).length;
        for (const length of lengths) {
          const count = Math.min(length, there - received.length);
          if (count > 0) await collect(count);
        }
        const rest = collect(Number.POSITIVE_INFINITY);
        await gateway.events.publish([...events.slice(later), facts.completed(own)]);
        await rest;
        expect(idsOf(received).sort()).toEqual(mine.map(idOf).sort());
        expect(received.at(-1)!.event).toBe('run.completed');
        const stepsIn = (ids: readonly string[]) => ids.filter((id) => /^own-\d+\/\d+$/.test(id));
        expect(stepsIn(idsOf(received))).toEqual(stepsIn(mine.map(idOf)));

        // The events of a run that has ended are read by another path: they are the same.
        const again: Message[] = [];
        for (const length of [...lengths, Number.POSITIVE_INFINITY]) {
          if (again.at(-1)?.event !== 'run.completed')
            again.push(...(await take(length, path, again.at(-1)?.id)));
        }
        expect(idsOf(again).sort()).toEqual(mine.map(idOf).sort());
        expect(again.at(-1)!.event).toBe('run.completed');
      }),
      { numRuns: 25 },
    );
  });

  it('has nothing more for a client that saw the end', async () => {
    await begin('r1');
    await gateway.events.publish([facts.completed('r1')]);
    const end = (await take(Number.POSITIVE_INFINITY, '/v1/runs/r1/events')).at(-1)!;
    const { response } = await open('/v1/runs/r1/events', end.id);
    expect(response.status).toBe(204);
  });

  it('begins at once when there is nothing to tell', async () => {
    await begin('r1');
    const [first] = await take(1, '/v1/runs/r1/events');
    const { response, leave } = await open('/v1/runs/r1/events', first!.id);
    expect(response.status).toBe(200);
    leave();
  });

  it('refuses ids that are none, ids of another run or log, and topics that are none', async () => {
    await begin('r1', 'r2');
    const [other] = await take(1, '/v1/runs/r2/events');
    for (const id of ['x', `${other!.id}0`, other!.id]) {
      await expectProblem((await open('/v1/runs/r1/events', id)).response, 400, 'INVALID_EVENT_ID');
    }
    const elsewhere = gateway;
    gateway = await startGateway();
    await begin('r2');
    await gateway.events.publish([facts.step('r2', 0)]);
    const ahead = (await take(2, '/v1/runs/r2/events')).at(-1)!;
    await gateway.close();
    gateway = elsewhere;
    await expectProblem((await open('/v1/runs/r2/events', ahead.id)).response, 400, 'INVALID_EVENT_ID');
    const topics = await gateway.get('/v1/runs/r1/events?topics=rewards,secrets');
    expect((await expectProblem(topics, 400, 'INVALID_REQUEST')).errors).toMatchObject([
      { path: 'topics[1]' },
    ]);
  });

  it('costs a reader what the run has, however much else the log holds', async () => {
    const others = Array.from({ length: 30 }, (_, number) => `other-${number}`);
    await begin(...others);
    const steps = (run: string) => Array.from({ length: 20 }, (_, step) => facts.step(run, step));
    const scored = (run: string) => Array.from({ length: 20 }, (_, index) => facts.scored(run, 0, index));
    await gateway.events.publish(others.flatMap((run) => [...steps(run), ...scored(run)]));
    await begin('r1');
    const started = facts.started('r1');
    const { latest } = await gateway.log.positions(['rewards']);
    const own: NewEvent[] = [
      { ...started, data: { ...started.data, from: latest } } as NewEvent,
      facts.step('r1', 0),
      facts.scored('r1', 0, 0),
    ];
    await gateway.events.publish([...own, facts.completed('r1')]);
    await gateway.events.publish(others.flatMap((run) => [...steps(run), ...scored(run)]));
    const later = others.length * 20;
    const read = async (path: string) => idsOf(await take(Number.POSITIVE_INFINITY, path));
    expect(await read('/v1/runs/r1/events')).toHaveLength(4);

    recordsRead = 0;
    const readers = Array.from({ length: 50 }, () => read('/v1/runs/r1/events'));
    for (const ids of await Promise.all(readers)) expect(ids).toHaveLength(4);
    expect(recordsRead).toBe(0);

    const withRewards = async () => (await read('/v1/runs/r1/events?topics=rewards')).sort();
    const everything = ['r1/requested', 'r1/completed', ...own.map(idOf)].sort();
    // The extent of its rewards is searched for once, from the start of the run on; it holds one record.
    expect(await withRewards()).toEqual(everything);
    expect(recordsRead).toBe(later + 1 + 1);
    recordsRead = 0;
    const more = Array.from({ length: 50 }, withRewards);
    for (const ids of await Promise.all(more)) expect(ids).toEqual(everything);
    expect(recordsRead).toBe(more.length);
  });

  it('reads what comes once, however many follow the run', async () => {
    await begin('r1');
    const open = Array.from({ length: 20 }, () => take(3, '/v1/runs/r1/events'));
    const first = await take(1, '/v1/runs/r1/events');
    expect(idsOf(first)).toEqual(['r1/requested']);
    recordsRead = 0;
    await gateway.events.publish([facts.step('r1', 0), facts.step('r1', 1)]);
    for (const received of await Promise.all(open))
      expect(idsOf(received)).toEqual(['r1/requested', 'r1/0', 'r1/1']);
    expect(recordsRead).toBe(2);
  });

  it.each(['', '?topics=rewards', '?topics=dead-letters'])(
    'begins with the request that made the run, not with one that was refused%s',
    async (query) => {
      await gateway.events.publish([facts.requested('r1'), facts.failed('r1')]);
      await gateway.events.publish([facts.requested('r1'), facts.started('r1')]);
      await vi.waitFor(async () =>
        expect(await (await gateway.get('/v1/runs/r1')).json()).toMatchObject({ status: 'running' }),
      );
      expect((await take(2, `/v1/runs/r1/events${query}`)).map(({ event }) => event)).toEqual([
        'run.requested',
        'run.started',
      ]);
      await gateway.events.publish([facts.completed('r1')]);
      const all = await take(Number.POSITIVE_INFINITY, `/v1/runs/r1/events${query}`);
      expect(all.map(({ event }) => event)).toEqual(['run.requested', 'run.started', 'run.completed']);
    },
  );

  it('tells of records of the run that could not be handled', async () => {
    await begin('r1', 'r2');
    const headers = { ce_type: 'reward.scored' };
    const poison = (key: string, value: string) => ({ topic: 'rewards', key, value, headers });
    await gateway.log.publish([
      poison('x', '{"run":"r1","score":"high"}'),
      poison('r1/0/0', 'no JSON'),
      poison('r2/0/0', '{"run":"r2"}'),
    ]);
    for await (const _ of gateway.events.readAll(['rewards'])) throw new Error('expected no event');
    await gateway.events.publish([facts.failed('r1')]);
    const received = await take(Number.POSITIVE_INFINITY, '/v1/runs/r1/events?topics=dead-letters');
    expect(received.map(({ event }) => event)).toEqual([
      'run.requested',
      'record.rejected',
      'record.rejected',
      'run.failed',
    ]);
    const codes = received
      .slice(1, 3)
      .map(({ data }) => (data.data as DataFor<'record.rejected'>).cause.code);
    expect(codes.sort()).toEqual(['EVENT_INVALID', 'EVENT_NOT_JSON']);
  });

  it('leaves nothing behind: clients that left, HEAD requests', async () => {
    await begin('r1');
    const before = followers;
    await take(1, '/v1/runs/r1/events');
    await take(1, '/v1/runs/r1/events?topics=rewards');
    const head = await fetch(`${gateway.service.url}/v1/runs/r1/events`, { method: 'HEAD' });
    expect(head.headers.get('content-type')).toBe('text/event-stream');
    await vi.waitFor(() => expect(followers).toBe(before), { timeout: 20_000, interval: 5 });
  });
});

describe('drain', () => {
  it('ends streams; their clients can go on elsewhere', async () => {
    await begin('r1');
    const { response } = await open('/v1/runs/r1/events');
    const received: Message[] = [];
    for await (const message of messages(response)) {
      received.push(message);
      void gateway.service.stop();
    }
    expect(idsOf(received)).toEqual(['r1/requested']);
    expect(await gateway.service.ended).toEqual({ state: 'stopped' });
    expect(gateway.logged).toEqual([]);
    const other = await startGateway({ log: gateway.log });
    const rest = await fetch(`${other.service.url}/v1/runs/r1/events`, {
      headers: { 'last-event-id': received[0]!.id },
    });
    await other.events.publish([facts.completed('r1')]);
    const others: Message[] = [];
    for await (const message of messages(rest)) others.push(message);
    expect(idsOf(others)).toEqual(['r1/completed']);
    await other.close();
  });
});
