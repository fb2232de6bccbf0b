import { textOf } from '@rlhf-streams/log/conformance';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { brokerError, decodeFetchRequest, type FetchedPlace } from '../wire/client.test.support.js';
import type { FetchedPartition } from '../wire/protocol.js';
import type { Wire } from '../wire/wire.js';
import { createFeed, type Feed, type Reader } from './feed.js';

const AT = { topic: 'topic', partition: 0 };
const DEADLINE_MS = 60_000;
const OFFSET_OUT_OF_RANGE = 1;
const NOT_LEADER = 6;
const TOPIC_AUTHORIZATION_FAILED = 29;

type Answer = Pick<FetchedPartition, 'error'> & { readonly records?: number };

/** A broker that answers with ten records for every place before `end`, or as `answerTo` says. Without any, it waits. */
function brokerWith(end: number, answerTo: (place: FetchedPlace) => Answer = () => ({})) {
  const requests: FetchedPlace[][] = [];
  const gates: (() => void)[] = [];
  const answer = (place: FetchedPlace): FetchedPartition => {
    const { error, records = Math.min(10, end - place.position) } = answerTo(place);
    const batch = {
      firstOffset: String(place.position),
      lastOffsetDelta: records - 1,
      producerId: '-1',
      inTransaction: false,
      isControlBatch: false,
      records: Array.from({ length: Math.max(0, records) }, (_, i) => ({
        offset: String(place.position + i),
        timestamp: '1',
        key: null,
        value: Buffer.from(String(place.position + i)),
        headers: {},
      })),
    };
    return {
      ...place,
      lastStableOffset: end,
      abortedTransactions: [],
      batches: records > 0 && error === undefined ? [batch] : [],
      ...(error !== undefined && { error }),
    };
  };
  const send = async ({ request }: { request: { encode(): Promise<{ buffer: Buffer }> } }) => {
    const { maxWaitMs, places } = decodeFetchRequest((await request.encode()).buffer);
    requests.push(places);
    const isEmpty = places.every((place) => place.position >= end && !answerTo(place).error);
    if (isEmpty && maxWaitMs > 0) await new Promise<void>((resolve) => gates.push(resolve));
    return { partitions: places.map(answer) };
  };
  const wire = {
    partitions: async (topic: string) =>
      topic === 'unknown' ? [] : [0, 1, 2].map((partitionId) => ({ partitionId, leader: 1, replicas: [1] })),
    broker: async () => ({
      connectionPool: { send },
      listOffsets: async () => ({
        responses: [{ topic: 'topic', partitions: [{ partition: 0, offset: '0' }] }],
      }),
    }),
    forget: vi.fn(),
  };
  return { wire: wire as unknown as Wire, requests, release: () => gates.splice(0).map((open) => open()) };
}

describe('a feed', () => {
  let feed: Feed;
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    feed.close();
    vi.useRealTimers();
  });

  function feedOf({ wire }: { readonly wire: Wire }): Feed {
    feed = createFeed({ direct: wire, waiting: wire, deadlineMs: DEADLINE_MS });
    return feed;
  }

  /** Takes records as soon as they come. */
  function taker(partition: number, position = 0) {
    const taken: string[] = [];
    const failures: unknown[] = [];
    const reader: Reader = feed.read({ ...AT, partition }, position, () => {
      try {
        reader.check();
        taken.push(...reader.take(1_000).map(textOf));
      } catch (error) {
        failures.push(error);
      }
    });
    return { taken, failures };
  }

  const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => String(from + i));
  const passTime = (ms: number) => vi.advanceTimersByTimeAsync(ms);

  it('brings every reader of a partition all from its position on, once', async () => {
    feedOf(brokerWith(95));
    const readers = [0, 40, 95].map((position) => ({ position, ...taker(0, position) }));
    await passTime(100);
    for (const { position, taken } of readers) expect(taken).toEqual(numbers(position, 95));
  });

  it('has one request for all who wait', async () => {
    const broker = brokerWith(10);
    feedOf(broker);
    const readers = Array.from({ length: 100 }, (_, i) => taker(i % 3, 10));
    await passTime(100);
    const before = broker.requests.length;
    broker.release();
    await passTime(100);
    expect(broker.requests.slice(before)).toHaveLength(1);
    expect(broker.requests.at(-1)).toHaveLength(3);
    expect(readers.every(({ failures }) => failures.length === 0)).toBe(true);
  });

  it('lets no reader wait until another has read all before it', async () => {
    const broker = brokerWith(10_000);
    feedOf(broker);
    taker(0, 0);
    const late = taker(0, 9_000);
    await passTime(100);
    expect(late.taken).toEqual(numbers(9_000, 10_000));
    const done = broker.requests.findIndex((places) => places.some(({ position }) => position === 9_990));
    expect(done).toBeLessThan(300);
  });

  it('has no more in store than a taker takes', async () => {
    const broker = brokerWith(100_000);
    feedOf(broker);
    const reader = feed.read(AT, 0, () => {});
    await passTime(1_000);
    const stored = reader.buffered;
    expect(stored).toBeGreaterThanOrEqual(1_000);
    expect(stored).toBeLessThan(1_100);
    expect(reader.take(500).map(textOf)).toEqual(numbers(0, 500));
    await passTime(1_000);
    expect(reader.take(1_000).map(textOf)).toEqual(numbers(500, 1_500));
    reader.seek(70);
    await passTime(1_000);
    expect(reader.take(2).map(textOf)).toEqual(['70', '71']);
  });

  it('fails the readers of a partition that may not be read, and no others', async () => {
    const error = brokerError(TOPIC_AUTHORIZATION_FAILED);
    feedOf(brokerWith(20, ({ partition }) => (partition === 1 ? { error } : {})));
    const [fine, denied] = [taker(0), taker(1)];
    await passTime(100);
    expect(fine.taken).toEqual(numbers(0, 20));
    expect(denied.failures).toMatchObject([{ code: 'LOG_DENIED' }]);
  });

  it('asks seldom for a partition that hinders it, and others as before', async () => {
    const error = brokerError(NOT_LEADER);
    const broker = brokerWith(2_000, ({ partition }) => (partition === 1 ? { error } : {}));
    feedOf(broker);
    const [fine, hindered] = [taker(0), taker(1)];
    await passTime(1);
    expect(fine.taken).toHaveLength(2_000);
    await passTime(DEADLINE_MS - 10_000);
    expect(
      broker.requests.filter((places) => places.some(({ partition }) => partition === 1)).length,
    ).toBeLessThan(100);
    expect(hindered.failures).toEqual([]);
    await passTime(12_000);
    expect(hindered.failures).toMatchObject([{ code: 'LOG_UNAVAILABLE' }]);
  });

  it('asks seldom for what is past the end', async () => {
    const error = brokerError(OFFSET_OUT_OF_RANGE);
    const broker = brokerWith(20, ({ position }) => (position > 20 ? { error } : {}));
    feedOf(broker);
    const [ahead, fine] = [taker(0, 50), taker(0)];
    await passTime(1);
    expect(fine.taken).toEqual(numbers(0, 20));
    await passTime(10 * DEADLINE_MS);
    expect(ahead.failures).toEqual([]);
    expect(broker.requests.length).toBeLessThan(1_500);
  });

  it('fails readers of a topic that is gone, after a while', async () => {
    feedOf(brokerWith(20));
    const failures: unknown[] = [];
    const reader = feed.read({ topic: 'unknown', partition: 0 }, 0, () => {
      try {
        reader.check();
      } catch (error) {
        failures.push(error);
      }
    });
    await passTime(9_000);
    expect(failures).toEqual([]);
    await passTime(3_000);
    expect(failures).toMatchObject([{ code: 'LOG_UNKNOWN_TOPIC' }]);
  });

  it('that is closed says so, and leaves no timer', async () => {
    const error = brokerError(NOT_LEADER);
    feedOf(brokerWith(20, () => ({ error })));
    const reader = taker(0);
    await passTime(100);
    feed.close();
    expect(vi.getTimerCount()).toBe(0);
    expect(reader.failures).toMatchObject([{ code: 'LOG_CLOSED' }]);
    expect(taker(0).failures).toEqual([]);
    const late = feed.read(AT, 0, () => {});
    expect(() => late.check()).toThrow(expect.objectContaining({ code: 'LOG_CLOSED' }));
  });
});
