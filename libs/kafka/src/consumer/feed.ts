/**
 * Fetches records for all readers of this process. Partitions whose readers are behind are fetched at once. Readers that
 * have caught up share one long-polling request to each broker, on connections of its own, because a broker answers the
 * requests of a connection in turn.
 */
import { LogError, type LogRecord, type TopicPartition } from '@rlhf-streams/log';
import { partitionKey } from '@rlhf-streams/log/core';
import { type Backoff, backoff, pause, shareable } from '@rlhf-streams/waiting';
import { describe, faultOf, toLogError } from '../wire/errors.js';
import { listOffsets } from '../wire/offsets.js';
import type { Wire } from '../wire/wire.js';
import { type Bell, createBell } from './bell.js';
import { type Fetched, fetchFrom } from './fetching.js';
import { createRecordQueue, type RecordQueue } from './record-queue.js';

/** One partition being read. */
export interface Reader {
  /** Records read and not taken yet. */
  readonly buffered: number;
  /** The offset to go on from after the records taken. */
  readonly position: number;
  /** Takes up to `max` buffered records, in order. */
  take(max: number): readonly LogRecord[];
  /** Throws away what is buffered and goes on from `position`. */
  seek(position: number): void;
  /** @throws LogError why this reader can read no more, if it cannot. */
  check(): void;
  close(): void;
}

export interface Feed {
  /** @param onChange called when records came, the position moved, or the reader failed. */
  read(at: TopicPartition, position: number, onChange: () => void): Reader;
  close(): void;
}

export interface FeedContext {
  /** For fetches that brokers answer at once. */
  readonly direct: Wire;
  /** For fetches that wait for records. */
  readonly waiting: Wire;
  /** Milliseconds without an answer after which a reader fails. */
  readonly deadlineMs: number;
}

/** A reader that has buffered either of these is not fetched for until some of it is taken. */
const MAX_BUFFERED_RECORDS = 1_000;
const MAX_BUFFERED_BYTES = 4 * 1024 * 1024;
/**
 * Milliseconds that a broker waits for records before it answers the shared fetch. A new reader waits at most this
 * long, because the next fetch has its partitions.
 */
const MAX_WAIT_MS = 500;
const RETRY = { minDelayMs: 20, maxDelayMs: 1_000 };
/** A topic that brokers have not known for this time was removed; before that it may only just have been created. */
const UNKNOWN_TIMEOUT_MS = 10_000;

interface State {
  readonly at: TopicPartition;
  readonly queue: RecordQueue;
  readonly onChange: () => void;
  /** The offset that the next fetch begins at. */
  position: number;
  /** Whether the partition has records that the reader lacks, as far as is known. */
  behind: boolean;
  /** The number of the last request that it was part of. */
  asked: number;
  /** Whether it is left out of requests, until its rest is over. */
  resting: boolean;
  readonly delays: Backoff;
  /** When the first of the failures in a row happened; undefined while there are none. */
  failingSince: number | undefined;
  failure: unknown;
}

/** The readers that are behind, or those that have caught up: at most one request at a time to each of their brokers. */
interface Lane {
  readonly wire: Wire;
  readonly behind: boolean;
  readonly maxWaitMs: number;
  readonly busy: Set<number>;
  readonly bell: Bell;
}

export function createFeed({ direct, waiting, deadlineMs }: FeedContext): Feed {
  /** The readers of each partition, by partition key. */
  const readers = new Map<string, Set<State>>();
  const closing = new AbortController();
  const closed = shareable(closing.signal);
  const lanes = [lane(direct, true, 0), lane(waiting, false, MAX_WAIT_MS)];
  let running = false;
  let requests = 0;

  function lane(wire: Wire, behind: boolean, maxWaitMs: number): Lane {
    return { wire, behind, maxWaitMs, busy: new Set(), bell: createBell() };
  }

  function go(): void {
    for (const { bell } of lanes) bell.ring();
    if (running || closed.aborted) return;
    running = true;
    for (const each of lanes) void serve(each);
  }

  async function serve(each: Lane): Promise<void> {
    while (!closed.aborted) {
      for (const [nodeId, states] of await byLeader(each, readyIn(each))) {
        if (closed.aborted || each.busy.has(nodeId)) continue;
        each.busy.add(nodeId);
        void request(each, nodeId, states).finally(() => {
          each.busy.delete(nodeId);
          // Readers that caught up, or fell behind, are the other lane's now.
          go();
        });
      }
      await each.bell.rung();
    }
  }

  const everyReader = () => [...readers.values()].flatMap((states) => [...states]);
  const hasRoom = ({ queue }: State) =>
    queue.length < MAX_BUFFERED_RECORDS && queue.bytes < MAX_BUFFERED_BYTES;
  const isReady = (state: State) => !state.failure && hasRoom(state);
  const readyIn = ({ behind }: Lane) =>
    everyReader().filter((state) => state.behind === behind && !state.resting && isReady(state));

  async function byLeader({ wire }: Lane, states: readonly State[]): Promise<Map<number, State[]>> {
    const found = new Map<number, State[]>();
    const find = async (topic: string) => {
      const ofTopic = states.filter(({ at }) => at.topic === topic);
      try {
        const partitions = await wire.partitions(topic);
        const leaders = new Map(partitions.map(({ partitionId, leader }) => [partitionId, leader]));
        for (const state of ofTopic) {
          const leader = leaders.get(state.at.partition);
          if (leader === undefined) trouble(wire, [state], unknownPartition(state.at));
          else found.set(leader, [...(found.get(leader) ?? []), state]);
        }
      } catch (error) {
        trouble(wire, ofTopic, error);
      }
    };
    await Promise.all([...new Set(states.map(({ at }) => at.topic))].map(find));
    return found;
  }

  async function request(each: Lane, nodeId: number, states: readonly State[]): Promise<void> {
    const { wire, maxWaitMs } = each;
    const leading = onePerPartition(states, each.behind ? byTurn : byPosition).sort(byTurn);
    const places = leading.map(({ at, position }) => ({ ...at, position }));
    requests++;
    for (const state of leading) state.asked = requests;
    try {
      for (const answer of await fetchFrom(await wire.broker(nodeId), places, maxWaitMs)) {
        const concerned = [...(readers.get(partitionKey(answer)) ?? [])].filter(isReady);
        if (answer.error === undefined) deliver(answer, concerned);
        else if (faultOf(answer.error).outOfRange)
          for (const state of concerned) void moveIntoRange(state, answer.from);
        else trouble(wire, concerned, answer.error);
      }
    } catch (error) {
      trouble(wire, states, error);
    }
  }

  /** Hands the answer to every reader whose position lies within it. */
  function deliver({ from, next, records, isAll }: Fetched, states: readonly State[]): void {
    for (const state of states) {
      state.delays.reset();
      state.failingSince = undefined;
      if (state.position < from || state.position > next) continue;
      state.behind = !isAll;
      if (state.position === next) continue;
      state.queue.push(records.filter(({ offset }) => offset >= state.position));
      state.position = next;
      state.onChange();
    }
  }

  /** Lets readers rest where the error passes, having dropped metadata that may be out of date; else they fail. */
  function trouble(wire: Wire, states: readonly State[], error: unknown): void {
    if (closed.aborted) return;
    if (faultOf(error).canRetry || isUnknown(error)) {
      wire.forget(error);
      for (const state of states) note(state, error);
      // The reader that failed least decides, so that none waits for the failures of others.
      void rest(
        states,
        states.map(({ delays }) => delays.pause(closed)),
      );
    } else for (const state of states) fail(state, toLogError(error, `read ${partitionKey(state.at)}`));
  }

  function note(state: State, error: unknown): void {
    state.failingSince ??= performance.now();
    const allowedMs = isUnknown(error) ? Math.min(UNKNOWN_TIMEOUT_MS, deadlineMs) : deadlineMs;
    if (performance.now() - state.failingSince > allowedMs)
      fail(state, isUnknown(error) ? error : unreadable(state.at, allowedMs, error));
  }

  function fail(state: State, error: unknown): void {
    state.failure ??= error;
    state.onChange();
  }

  /** Leaves readers out of requests until the first of `pauses` has ended. */
  async function rest(states: readonly State[], pauses: readonly Promise<void>[]): Promise<void> {
    for (const state of states) state.resting = true;
    await Promise.race(pauses);
    for (const state of states) state.resting = false;
    go();
  }

  /** A position before the earliest record moves there (retention removed what was between); one past the end waits. */
  async function moveIntoRange(state: State, position: number): Promise<void> {
    if (state.resting || state.position !== position) return;
    state.resting = true;
    try {
      const [earliest] = await listOffsets(direct, [state.at], 'earliest');
      if (earliest === undefined || position >= earliest.offset)
        return rest([state], [pause(MAX_WAIT_MS, closed)]);
      if (state.position === position) state.position = earliest.offset;
      state.resting = false;
      state.onChange();
      go();
    } catch (error) {
      trouble(direct, [state], error);
    }
  }

  return {
    read(at, position, onChange) {
      const queue = createRecordQueue();
      const state: State = {
        at,
        queue,
        onChange,
        position,
        behind: true,
        asked: 0,
        resting: false,
        delays: backoff(RETRY),
        failingSince: undefined,
        failure: closed.aborted ? new LogError('LOG_CLOSED', 'The log was closed.') : undefined,
      };
      const key = partitionKey(at);
      readers.set(key, (readers.get(key) ?? new Set()).add(state));
      go();
      return {
        get buffered() {
          return queue.length;
        },
        get position() {
          return queue.first?.offset ?? state.position;
        },
        take(max) {
          const wasFull = !hasRoom(state);
          const taken = queue.take(max);
          if (wasFull && hasRoom(state)) {
            state.behind = true;
            go();
          }
          return taken;
        },
        seek(to) {
          queue.clear();
          state.position = to;
          state.behind = true;
          go();
        },
        check() {
          if (state.failure) throw state.failure;
        },
        close() {
          readers.get(key)?.delete(state);
          if (readers.get(key)?.size === 0) readers.delete(key);
        },
      };
    },
    close() {
      closing.abort();
      for (const { bell } of lanes) bell.ring();
      for (const state of everyReader()) fail(state, new LogError('LOG_CLOSED', 'The log was closed.'));
    },
  };
}

const unknownPartition = ({ topic, partition }: TopicPartition) =>
  new LogError('LOG_UNKNOWN_TOPIC', `Topic ${topic} has no partition ${partition}: it was removed.`);

const unreadable = ({ topic, partition }: TopicPartition, ms: number, cause: unknown) =>
  new LogError(
    'LOG_UNAVAILABLE',
    `Kafka could not read ${topic}/${partition} for ${ms} ms, the last time because of: ${describe(cause)}`,
    { cause },
  );

/** The reader saw that the topic exists, so this broker has yet to hear of it, or the topic was removed since. */
const isUnknown = (error: unknown): boolean =>
  error instanceof LogError && error.code === 'LOG_UNKNOWN_TOPIC';

/** One reader of each partition, the first in `order`, because a request may name a partition only once. */
function onePerPartition(states: readonly State[], order: (a: State, b: State) => number): State[] {
  const first = new Map<string, State>();
  for (const state of states) {
    const key = partitionKey(state.at);
    const known = first.get(key);
    if (!known || order(state, known) < 0) first.set(key, state);
  }
  return [...first.values()];
}

/** Readers that waited longest come first, so that neither a reader far behind nor a full answer holds up the others. */
const byTurn = (a: State, b: State): number => a.asked - b.asked;

/** The reader furthest behind comes first: for one that has caught up, the broker would wait although another lacks records. */
const byPosition = (a: State, b: State): number => a.position - b.position;
