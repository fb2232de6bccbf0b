import type { Positions } from '@rlhf-streams/log';
import { advance, type Events, type Received } from '@rlhf-streams/runtime';
import { runOfLetter } from '../dead-letters/letter.js';
import type { StreamPosition, StreamTopic } from './event-id.js';
import { type History, toldTopics } from './history.js';

/** An event of the run, and where its reader stands after it. */
export interface RunEvent extends StreamPosition {
  readonly event: Received<StreamTopic>;
}

export interface FollowRunOptions {
  readonly run: string;
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
  { run, from, signal }: FollowRunOptions,
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
 * The same with further topics, which are read from the log for each reader: `topics` are all to be told. `from` should
 * lie where the run begins.
 */
export async function* followRun(
  events: Pick<Events, 'follow' | 'readAll'>,
  { run, topics, from, signal }: FollowRunOptions & { readonly topics: readonly StreamTopic[] },
): AsyncGenerator<RunEvent, void> {
  let positions = from;
  let end: Received<'runs'> | undefined;

  for await (const event of events.follow({ topics, from, signal })) {
    if (runOf(event) === run && endsRun(event)) {
      end = event;
      break;
    }
    positions = advance(positions, event);
    if (runOf(event) === run) yield { event, positions, ended: false };
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

const runOf = (event: Received<StreamTopic>): string | undefined =>
  event.topic === 'dead-letters' ? runOfLetter(event.data) : event.data.run;

const endsRun = (event: Received<StreamTopic>): event is Received<'runs'> =>
  event.type === 'run.completed' || event.type === 'run.failed' || event.type === 'run.cancelled';
