import { advance, type Events, type Received } from '@rlhf-streams/bus';
import type { Positions } from '@rlhf-streams/log';
import type { StreamPosition } from './event-id.js';
import type { Extents } from './extents.js';
import { type History, toldTopics } from './history.js';
import { runOf, type StreamTopic } from './stream-topics.js';

/** An event of the run, and where its reader stands after it. */
export interface RunEvent extends StreamPosition {
  readonly event: Received<StreamTopic>;
}

export interface FollowRunOptions {
  readonly run: string;
  /** Offset of its request: what `runs` says before is of one by its name that never started. */
  readonly requestOffset: number;
  readonly from: Positions;
  readonly signal: AbortSignal;
}

/**
 * Events of one run that every stream tells, those there are and those to come, each once, from memory: a reader costs
 * what the run has, whatever else the log holds. The last is the run's end, after everything the log held when the end
 * was seen. Ends early when `signal` aborts.
 */
export async function* toldRun(
  history: History,
  { run, requestOffset, from, signal }: FollowRunOptions,
): AsyncGenerator<RunEvent, void> {
  let positions = from;
  let end: Received<'runs'> | undefined;
  for (let index = 0; !signal.aborted; ) {
    const event = history.eventsOf(run)[index];
    if (!event) {
      if (end) break;
      await history.nextOf(run, signal);
      continue;
    }
    index++;
    if (event.offset < (from[event.topic]?.[event.partition] ?? 0)) continue;
    if (event.topic === 'runs' && event.offset < requestOffset) continue;
    // What comes after its end in the run's own partition is no part of it.
    if (end && event.topic === 'runs') continue;
    if (endsRun(event)) {
      end = event;
      await history.completeOf(run);
      continue;
    }
    positions = advance(positions, event);
    yield { event, positions, ended: false };
  }
  if (end && !signal.aborted) yield { event: end, positions: advance(positions, end), ended: true };
}

/**
 * The same of a run that has ended with further topics, of which no more is read from the log than lies between the
 * run's first and last event. `start` is where they begin.
 */
export async function* endedRun(
  {
    events,
    history,
    extents,
  }: { readonly events: Events; readonly history: History; readonly extents: Extents },
  {
    run,
    requestOffset,
    further,
    start,
    from,
    signal,
  }: FollowRunOptions & {
    readonly further: readonly StreamTopic[];
    readonly start: Positions;
  },
): AsyncGenerator<RunEvent, void> {
  let positions = from;
  let end: Received<StreamTopic> | undefined;
  for await (const told of toldRun(history, { run, requestOffset, from, signal })) {
    if (told.ended) end = told.event;
    else yield told;
    if (!told.ended) positions = told.positions;
  }
  if (!end) return;

  for (const topic of further) {
    for (const { partition, first, last } of await extents.of(run, topic, start)) {
      const begin = Math.max(first, from[topic]?.[partition] ?? 0);
      if (begin > last) continue;
      const options = { partitions: [partition], maxBatchRecords: Math.min(500, last + 1 - begin), signal };
      const offsets = Array.from({ length: partition + 1 }, (_, index) => (index === partition ? begin : 0));
      for await (const event of events.readAll([topic], { from: { [topic]: offsets }, ...options })) {
        positions = advance(positions, event);
        if (runOf(event) === run) yield { event, positions, ended: false };
        if (event.offset >= last) break;
      }
    }
  }
  yield { event: end, positions: advance(positions, end), ended: true };
}

/**
 * The same of a run that goes on with further topics, which are read from the log for each reader: `topics` are all to be
 * told. `from` should lie where the run begins.
 */
export async function* followRun(
  events: Pick<Events, 'follow' | 'readAll'>,
  {
    run,
    requestOffset,
    topics,
    from,
    signal,
  }: FollowRunOptions & { readonly topics: readonly StreamTopic[] },
): AsyncGenerator<RunEvent, void> {
  let positions = from;
  let end: Received<'runs'> | undefined;

  for await (const event of events.follow({ topics, from, signal })) {
    const isEarlier = event.topic === 'runs' && event.offset < requestOffset;
    if (runOf(event) === run && endsRun(event) && !isEarlier) {
      end = event;
      break;
    }
    positions = advance(positions, event);
    if (runOf(event) === run && !isEarlier) yield { event, positions, ended: false };
  }
  if (!end) return;

  // What is left of the run's own partition comes after its end, and is no part of it.
  for await (const event of events.readAll(topics, { from: positions, signal })) {
    if (event.topic === 'runs' && event.partition === end.partition) continue;
    positions = advance(positions, event);
    if (runOf(event) === run) yield { event, positions, ended: false };
  }
  yield { event: end, positions: advance(positions, end), ended: true };
}

/**
 * Where a run's events begin on each topic: at its first one, or at what is not told yet, on those that every stream
 * tells; on further ones where the log ended when the run started.
 */
export function beginningOf(run: string, started: Positions, history: History): Positions {
  const beginning: Record<string, number[]> = {};
  for (const [topic, offsets] of Object.entries(started)) beginning[topic] = [...offsets];
  for (const topic of toldTopics) beginning[topic] = [...(history.positions()[topic] ?? [])];
  for (const { topic, partition, offset } of history.eventsOf(run))
    beginning[topic]![partition] = Math.min(beginning[topic]![partition]!, offset);
  return beginning;
}

const endsRun = (event: Received<StreamTopic>): event is Received<'runs'> =>
  event.type === 'run.completed' || event.type === 'run.failed' || event.type === 'run.cancelled';
