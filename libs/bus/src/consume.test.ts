import { type EventLog, LogError, memoryLog } from '@rlhf-streams/log';
import { describe, expect, it } from 'vitest';
import {
  all,
  committed,
  consume,
  events,
  failed,
  lag,
  latch,
  log,
  poison,
  rejections,
  type Scored,
  scored,
  useLog,
} from './bus.test.support.js';
import { RuntimeError } from './errors.js';
import { createEvents } from './events.js';
import { silentLogger } from './logger.js';
import type { Received } from './received.js';
import { topicSpecs } from './topics.js';

useLog();

describe('consume', () => {
  it('hands on typed events, and commits them when they are done', async () => {
    const release = latch();
    const scores: number[] = [];
    await events.publish([scored(1), scored(2)]);
    await consume({
      handle: async (event) => {
        await release.opened;
        if (event.type === 'reward.scored') scores.push(event.data.score);
      },
    });
    expect(await lag()).toBe(2);
    release.open();
    await committed();
    expect(scores).toEqual([1, 2]);
    expect(await rejections()).toEqual([]);
  });

  it('puts what is no event among the dead letters, with its cause, and goes on', async () => {
    await poison();
    await poison({ ce_type: 'reward.invented', ce_id: 'y' });
    await poison({});
    await events.publish([scored(1)]);
    const handled: string[] = [];
    await consume({ handle: async ({ id }) => void handled.push(id) });
    await committed();
    expect(handled).toEqual(['reward/r/0/0/1']);
    const letters = await rejections();
    expect(letters.map(({ cause }) => cause.code).sort()).toEqual([
      'EVENT_NOT_JSON',
      'EVENT_UNKNOWN_TYPE',
      'EVENT_UNKNOWN_TYPE',
    ]);
    const letter = letters.find(({ cause }) => cause.code === 'EVENT_NOT_JSON')!;
    expect(letter).toMatchObject({
      service: 'reward',
      source: { topic: 'rewards', offset: 0 },
      key: 'r/0/0',
      attempts: 1,
    });
    expect(letter.headers).toEqual({ ce_type: 'reward.scored', ce_id: 'x' });
    expect(Buffer.from(letter.value, 'base64').toString()).toBe('not json');
  });

  it('puts an event of a version that only a newer build knows among the dead letters, whole, and goes on', async () => {
    const headers = { ce_type: 'reward.scored', ce_id: 'newer', ce_schemaversion: '3' };
    await log.publish([{ topic: 'rewards', key: 'r/0/0', value: '{"scores": [1]}', headers }]);
    await events.publish([scored(1)]);
    const handled: string[] = [];
    await consume({ handle: async ({ id }) => void handled.push(id) });
    await committed();
    expect(handled).toEqual(['reward/r/0/0/1']);
    const [letter, ...others] = await rejections();
    expect(others).toEqual([]);
    expect(letter).toMatchObject({ headers, cause: { code: 'EVENT_TOO_NEW' } });
    expect(Buffer.from(letter!.value, 'base64').toString()).toBe('{"scores": [1]}');
  });

  it('goes on past a record too large for a dead letter', async () => {
    await log.publish([
      {
        topic: 'rewards',
        key: 'k',
        value: 'x'.repeat(900_000),
        headers: { ce_type: 'reward.scored', ce_id: 'x' },
      },
    ]);
    await consume({});
    await committed();
    const [letter] = await rejections();
    expect(letter).toMatchObject({ key: 'k', value: '', cause: { code: 'EVENT_NOT_JSON' } });
    expect(letter!.cause.message).toContain('too large');
  });

  it('handles every event when deliveries crash, repeat and change places', async () => {
    const faultyLog = memoryLog({ seed: 7, faults: { duplicate: 0.3, crash: 0.2, reorder: true } });
    await faultyLog.ensureTopics(topicSpecs);
    const faulty = createEvents({ log: faultyLog, source: 'reward' });
    const samples = Array.from({ length: 50 }, (_, sample) => sample);
    await faulty.publish(samples.map((sample) => scored(sample)));
    const seen = new Set<number>();
    await faulty.consume({
      group: 'g',
      topics: ['rewards'],
      onlyTypes: ['reward.scored'],
      maxBatchRecords: 4,
      handle: async ({ data }) => void seen.add(data.score),
    });
    await committed('g', 'rewards', faultyLog);
    expect([...seen].sort((a, b) => a - b)).toEqual(samples);
    await faulty.close();
    await faultyLog.close();
  });

  it('tries a handler again', async () => {
    await events.publish([scored(1)]);
    let attempts = 0;
    await consume({
      handle: async () => {
        if (++attempts < 3) throw new Error('not yet');
      },
    });
    await committed();
    expect(attempts).toBe(3);
    expect(await rejections()).toEqual([]);
  });

  it('never gives up an event for want of what is out of reach', async () => {
    await events.publish([scored(1)]);
    let attempts = 0;
    const handle = async () => {
      attempts++;
      if (attempts <= 5) throw new LogError('LOG_UNAVAILABLE', 'no broker');
      if (attempts === 6) throw new Error('a first failure of its own');
    };
    await consume({ retries: 1, retryDelayMs: 1, handle });
    await committed();
    expect(attempts).toBe(7);
    expect(await rejections()).toEqual([]);
  });

  it('delivers an event that waits for what is out of reach to the next member', async () => {
    await events.publish([scored(1)]);
    const waiting = latch();
    const first = await consume({
      retryDelayMs: 60_000,
      handle: async () => {
        waiting.open();
        throw new RuntimeError('RUNTIME_UNAVAILABLE', 'no weights');
      },
    });
    await waiting.opened;
    await first.close();
    const handled: string[] = [];
    await consume({ handle: async ({ id }) => void handled.push(id) });
    await committed();
    expect(handled).toEqual(['reward/r/0/0/1']);
    expect(await rejections()).toEqual([]);
  });

  it.each([
    [
      'after its retries',
      Object.assign(new Error('scorer is down'), { code: 'SCORER_DOWN' }),
      3,
      'SCORER_DOWN',
    ],
    ['at once when it cannot succeed', Object.assign(new Error('bad'), { retriable: false }), 1, 'Error'],
  ])('gives an event up %s, and goes on', async (_, error, attempts, code) => {
    await events.publish([scored(1), scored(2)]);
    const handled: string[] = [];
    const handle = async ({ id }: Received<'rewards'>) => {
      if (id.endsWith('/1')) throw error;
      handled.push(id);
    };
    await consume({ retries: 2, handle });
    await committed();
    expect(handled).toEqual(['reward/r/0/0/2']);
    const [letter] = await all(events.readAll(['dead-letters']));
    expect(letter!.data).toMatchObject({ attempts, cause: { code, message: error.message } });
    const { topic, partition, offset } = letter!.data.source;
    expect(letter!.id).toBe(`reward/${topic}/${partition}/${offset}`);
  });

  it('gives up a handler that never ends, and tells it', async () => {
    await events.publish([scored(1)]);
    let told = false;
    const handle = (_: unknown, { signal }: { signal: AbortSignal }) =>
      new Promise<void>(() => {
        signal.addEventListener('abort', () => {
          told = true;
        });
      });
    await consume({ retries: 0, timeoutMs: 5, handle });
    await committed();
    expect(told).toBe(true);
    expect(await rejections()).toMatchObject([{ cause: { code: 'RUNTIME_DEADLINE' } }]);
  });

  it('commits an offset only after its dead letter is durable', async () => {
    const release = latch();
    const publishing = latch();
    let attempts = 0;
    const stubborn: EventLog = {
      ...log,
      publish: async (records) => {
        publishing.open();
        await release.opened;
        // The first time the log is down: the record must come again.
        if (++attempts === 1) throw new Error('log is down');
        await log.publish(records);
      },
    };
    await poison();
    const own = createEvents({ log: stubborn, source: 'reward' });
    await own.consume({ group: 'g', topics: ['rewards'], handle: async () => {} });
    await publishing.opened;
    expect(await lag()).toBe(1);
    release.open();
    await committed();
    expect(attempts).toBe(2);
    expect(await rejections()).toHaveLength(1);
    await own.close();
  });

  it('delivers again what an abort interrupted, and nothing that was finished', async () => {
    await events.publish([scored(1), scored(2), scored(3)]);
    const interrupted = latch();
    const first = await consume({
      handle: async ({ id }, { signal }) => {
        if (id.endsWith('/1')) return;
        if (id.endsWith('/3')) interrupted.open();
        await new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason));
        });
      },
    });
    await interrupted.opened;
    await first.close();
    expect(await lag()).toBe(2);

    const handled: string[] = [];
    await consume({ handle: async ({ id }) => void handled.push(id) });
    await committed();
    expect(handled).toEqual(['reward/r/0/0/2', 'reward/r/0/0/3']);
    expect(await rejections()).toEqual([]);
  });

  it('is silent about what a stop interrupts: it failed at nothing', async () => {
    const written: string[] = [];
    const write = (_: object, line: string) => void written.push(line);
    const logger = { ...silentLogger, info: write, warn: write, error: write };
    const stopping = createEvents({ log, source: 'reward', logger });
    const begun = latch();
    await stopping.consume({
      group: 'g',
      topics: ['rewards'],
      handle: (_, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason), { once: true });
          begun.open();
        }),
    });
    await events.publish([scored(0), scored(1)]);
    await begun.opened;
    await stopping.close();
    expect(written).toEqual([]);
    expect(await rejections()).toEqual([]);
    expect(await lag()).toBe(2);
  });

  it('commits what ended in spite of the abort', async () => {
    await events.publish([scored(1)]);
    const running = latch();
    const consumer = await consume({
      handle: async (_, { signal }) => {
        running.open();
        await new Promise<void>((resolve) => {
          signal.addEventListener('abort', () => resolve());
        });
      },
    });
    await running.opened;
    await consumer.close();
    expect(await lag()).toBe(0);
  });

  it('handles only the types asked for', async () => {
    await events.publish([failed, scored(1)]);
    const scores: Scored[] = [];
    await events.consume({
      group: 'g',
      topics: ['rewards'],
      onlyTypes: ['reward.scored'],
      handle: async ({ data }) => void scores.push(data),
    });
    await committed();
    expect(scores.map(({ score }) => score)).toEqual([1]);
  });

  it.each([1, 3])('handles at most %i at the same time', async (concurrency) => {
    await events.publish(Array.from({ length: 10 }, (_, sample) => scored(sample)));
    const order: string[] = [];
    let running = 0;
    let most = 0;
    await consume({
      concurrency,
      handle: async ({ id }) => {
        most = Math.max(most, ++running);
        order.push(id);
        await new Promise((resolve) => setImmediate(resolve));
        running--;
      },
    });
    await committed();
    await expect(consume({ concurrency: 0 })).rejects.toMatchObject({ code: 'RUNTIME_INVALID' });
    expect(most).toBe(concurrency);
    expect(order).toEqual(Array.from({ length: 10 }, (_, sample) => `reward/r/0/0/${sample}`));
  });

  it('does not put dead letters among the dead letters for ever', async () => {
    await poison();
    await consume({});
    await committed();
    let seen = 0;
    await events.consume({
      group: 'replay',
      topics: ['dead-letters'],
      retries: 0,
      handle: async () => {
        seen++;
        throw new Error('cannot replay');
      },
    });
    await committed('replay', 'dead-letters');
    expect(seen).toBe(1);
    expect(await rejections()).toHaveLength(1);
  });
});
