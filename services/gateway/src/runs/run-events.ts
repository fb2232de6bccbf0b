/** The events of one run as a stream sends them: each once, with the position to go on from, and the run's end last. */
import { archivedEvents, furthest, type ReadDependencies, runEvents } from '@rlhf-streams/archive';
import { advance, type Received } from '@rlhf-streams/bus';
import { type ArchivedTopic, archivedTopics } from '@rlhf-streams/events';
import type { Positions } from '@rlhf-streams/log';
import { isArchived, type RunArchive, type RunView } from '@rlhf-streams/runs';
import type { RunsContext } from './context.js';
import type { StreamPosition } from './event-id.js';
import type { Extent, Extents } from './extents.js';
import { coreTopics, type History } from './history.js';
import { runOf, type StreamTopic } from './stream-topics.js';

/** An event of the run, and the position of a reader who has received it. */
export interface RunEvent extends StreamPosition {
  readonly event: Received<StreamTopic>;
}

export interface RunEventsOptions {
  readonly run: string;
  /** Offset of the run's request: earlier events on topic `runs` are of a run by the same name that never started. */
  readonly requestOffset: number;
  readonly from: Positions;
  readonly signal: AbortSignal;
}

/**
 * The core events of a run, past and to come, from memory, so that a reader costs what the run has and not what the log
 * holds. The end of the run comes last, after all events that the log held when it was read. Stops early when `signal`
 * aborts.
 */
export async function* coreEvents(
  history: History,
  { run, requestOffset, from, signal }: RunEventsOptions,
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
    if (end && goesOn(end, event)) {
      positions = advance(positions, end);
      yield { event: end, positions, ended: false };
      end = undefined;
    }
    // Events after the end, in the partition of the end, are no part of the run.
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
 * All events of a run that has ended, those of further topics too. What its archive has of them is read there, and else
 * each further topic from the log, between the run's first and last event in it. `start` are the positions at which the
 * run began.
 */
export async function* eventsOfEndedRun(
  {
    history,
    extents,
    ...reading
  }: ReadDependencies & { readonly history: History; readonly extents: Extents },
  {
    run,
    requestOffset,
    further,
    view,
    from,
    signal,
  }: RunEventsOptions & { readonly further: readonly StreamTopic[]; readonly view: RunView },
): AsyncGenerator<RunEvent, void> {
  let positions = from;
  let end: Received<StreamTopic> | undefined;
  for await (const told of coreEvents(history, { run, requestOffset, from, signal })) {
    if (told.ended) end = told.event;
    else yield told;
    if (!told.ended) positions = told.positions;
  }
  if (!end) return;

  for (const topic of further) {
    const told =
      isArchived(view) && isArchivedTopic(topic)
        ? runEvents(reading, view, [topic], { from, signal })
        : loggedEvents(reading, topic, await extents.of(run, topic, view.from, view.extents?.length ?? 1), {
            run,
            from,
            signal,
          });
    for await (const event of told) {
      positions = advance(positions, event);
      yield { event, positions, ended: false };
    }
  }
  yield { event: end, positions: advance(positions, end), ended: true };
}

/** A run's events on a topic, where the log has them. */
async function* loggedEvents(
  { events }: Pick<ReadDependencies, 'events'>,
  topic: StreamTopic,
  extents: readonly Extent[],
  { run, from, signal }: Pick<RunEventsOptions, 'run' | 'from' | 'signal'>,
): AsyncGenerator<Received<StreamTopic>, void> {
  for (const { partition, first, last } of extents) {
    const begin = Math.max(first, from[topic]?.[partition] ?? 0);
    if (begin > last) continue;
    const options = { partitions: [partition], maxBatchRecords: Math.min(500, last + 1 - begin), signal };
    const offsets = Array.from({ length: partition + 1 }, (_, index) => (index === partition ? begin : 0));
    for await (const event of events.readAll([topic], { from: { [topic]: offsets }, ...options })) {
      if (runOf(event) === run) yield event;
      if (event.offset >= last) break;
    }
  }
}

/**
 * All events of a run that goes on, on core topics and further ones, which are read from the log for this reader alone.
 * An extended run may have lost events from its topics: those are read from the archive of its last end.
 * @param from at best where the run begins, as earlier records are read for nothing
 */
export async function* eventsOfLiveRun(
  { events, artifacts, history }: Pick<RunsContext, 'events' | 'artifacts' | 'history'>,
  {
    run,
    requestOffset,
    further,
    archive,
    from,
    signal,
  }: RunEventsOptions & {
    readonly further: readonly StreamTopic[];
    readonly archive: RunArchive | undefined;
  },
): AsyncGenerator<RunEvent, void> {
  const topics = [...coreTopics, ...further];
  let positions = from;
  let end: Received<'runs'> | undefined;

  if (archive) {
    const archived = further.filter(isArchivedTopic);
    for await (const event of archivedEvents({ artifacts }, archive, archived, { from, signal })) {
      positions = advance(positions, event);
      yield { event, positions, ended: false };
    }
    const until = archived.map((topic) => [topic, archive.until[topic] ?? []]);
    positions = furthest(positions, Object.fromEntries(until));
  }

  for await (const event of events.follow({ topics, from: positions, signal })) {
    const isEarlier = event.topic === 'runs' && event.offset < requestOffset;
    if (runOf(event) === run && endsRun(event) && !isEarlier && !wasExtended(history, run, event)) {
      end = event;
      break;
    }
    positions = advance(positions, event);
    if (runOf(event) === run && !isEarlier) yield { event, positions, ended: false };
  }
  if (!end) return;

  // Events after the end, in the partition of the end, are no part of the run.
  for await (const event of events.readAll(topics, { from: positions, signal })) {
    if (event.topic === 'runs' && event.partition === end.partition) continue;
    positions = advance(positions, event);
    if (runOf(event) === run) yield { event, positions, ended: false };
  }
  yield { event: end, positions: advance(positions, end), ended: true };
}

/**
 * Positions at which a run's events begin. On a core topic that is the run's first event, or the end of what has been
 * read where there is none; on a further topic it is the end that the topic had when the run started.
 */
export function beginningOf(run: string, started: Positions, history: History): Positions {
  const beginning: Record<string, number[]> = {};
  for (const [topic, offsets] of Object.entries(started)) beginning[topic] = [...offsets];
  for (const topic of coreTopics) beginning[topic] = [...(history.positions()[topic] ?? [])];
  for (const { topic, partition, offset } of history.eventsOf(run))
    beginning[topic]![partition] = Math.min(beginning[topic]![partition]!, offset);
  return beginning;
}

/** Whether an event in the partition of a run's end says that the run goes on after all: it was extended. */
const goesOn = (end: Received<'runs'>, event: Received<StreamTopic>): boolean =>
  end.type === 'run.completed' && event.type === 'run.extended' && event.data.steps > end.data.steps;

/** Whether the run went on after an end, as far as is known by now. */
const wasExtended = (history: History, run: string, end: Received<'runs'>): boolean =>
  history
    .eventsOf(run)
    .some((event) => event.topic === 'runs' && event.offset > end.offset && goesOn(end, event));
const isArchivedTopic = (topic: StreamTopic): topic is StreamTopic & ArchivedTopic =>
  archivedTopics.some((archived) => archived === topic);

const endsRun = (event: Received<StreamTopic>): event is Received<'runs'> =>
  event.type === 'run.completed' || event.type === 'run.failed' || event.type === 'run.cancelled';
