import type { Positions } from '@rlhf-streams/log';
import { advance, type Events, type Received } from '@rlhf-streams/runtime';
import type { StreamPosition, StreamTopic } from './event-id.js';

export interface FollowRunOptions {
  readonly run: string;
  /** `runs` among them: it tells of the end. */
  readonly topics: readonly StreamTopic[];
  readonly from: Positions;
  readonly signal: AbortSignal;
}

/** An event of the run, and where its reader stands after it. */
export interface RunEvent extends StreamPosition {
  readonly event: Received<StreamTopic>;
}

/**
 * Events of one run, those there are and those to come, each once. The last is the run's end, after everything the
 * log held when the end was seen. Ends early when `signal` aborts or `events` closes.
 */
export async function* followRun(
  events: Pick<Events, 'follow' | 'readAll'>,
  { run, topics, from, signal }: FollowRunOptions,
): AsyncGenerator<RunEvent, void> {
  let positions = from;
  let end: Received<'runs'> | undefined;

  for await (const event of events.follow({ topics, from, signal })) {
    if (event.data.run === run && endsRun(event)) {
      end = event;
      break;
    }
    positions = advance(positions, event);
    if (event.data.run === run) yield { event, positions, ended: false };
  }
  if (!end) return;

  // What is left of the run's own partition comes after its end, and is no part of it.
  for await (const event of events.readAll(topics, { from: positions, signal })) {
    if (event.topic === 'runs' && event.partition === end.partition) continue;
    positions = advance(positions, event);
    if (event.data.run === run) yield { event, positions, ended: false };
  }
  yield { event: end, positions: advance(positions, end), ended: true };
}

const endsRun = (event: Received<StreamTopic>): event is Received<'runs'> =>
  event.type === 'run.completed' || event.type === 'run.failed' || event.type === 'run.cancelled';
