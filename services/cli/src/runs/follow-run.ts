/** Watches a run to its end, as any client of a gateway does over HTTP. */
import type { DataFor, TopicEvent } from '@rlhf-streams/events';
import { linked, pause } from '@rlhf-streams/waiting';
import { EventSourceParserStream } from 'eventsource-parser/stream';
import { CliError, serviceFailed } from '../errors.js';
import type { Client } from '../place/client.js';
import { isPassing, problemOf } from './problems.js';

export interface RunObserver {
  /** `at` is when, in milliseconds since 1970. */
  started?(run: DataFor<'run.started'>, at: number): void;
  step?(step: DataFor<'step.completed'>): void;
  waiting?(wait: DataFor<'run.waiting'>): void;
  /** The run waits for something outside of itself, which is named. */
  paused?(cause: string): void;
  resumed?(): void;
  /** The run, which had completed, goes on. */
  extended?(extension: DataFor<'run.extended'>): void;
  /** The run went on with what another build had computed. */
  buildChanged?(change: DataFor<'run.build-changed'>): void;
  /** A metric of the run passed its threshold. */
  warned?(warning: DataFor<'run.warning'>): void;
  completed?(at: number): void;
}

/** Milliseconds without an event of the run until the services are asked what they wait for. */
const QUIET_MS = 5_000;

/**
 * Tells the observer of everything a run did and does, until it has completed.
 * @throws CliError CLI_RUN_FAILED when it fails, with the run's own cause as `cause`, or is cancelled; CLI_SERVICE_FAILED;
 *   ProblemError RUN_NOT_FOUND; the signal's reason.
 */
export async function followRun(
  { request, failed, troubles }: Pick<Client, 'request' | 'failed' | 'troubles'>,
  run: string,
  observer: RunObserver,
  signal?: AbortSignal,
): Promise<DataFor<'run.completed'>> {
  const broken = new AbortController();
  void failed.then(({ service, error }) => broken.abort(serviceFailed(service, error)));
  const over = linked(signal, broken.signal);
  // What it waited for before is over, or is reported again.
  const since = Date.now();
  // A step that was done again after a crash came to the same numbers.
  const told = new Set<number>();
  // Where the log takes no event, no event says that the run waits: the services do.
  let seen = performance.now();
  const looking = setInterval(async () => {
    if (performance.now() - seen < QUIET_MS) return;
    const reasons = await troubles();
    // The line of the run names it already.
    const words = reasons.map((reason) => reason.replace(`run ${run} waits: `, ''));
    if (words.length > 0) observer.paused?.([...new Set(words)].join('; '));
  }, QUIET_MS).unref();
  try {
    let completed: DataFor<'run.completed'> | undefined;
    for await (const event of eventsOf(request, run, over.signal)) {
      seen = performance.now();
      if (event === undefined) {
        if (completed) return completed;
        continue;
      }
      switch (event.type) {
        case 'run.started':
          observer.started?.(event.data, Date.parse(event.time));
          break;
        case 'run.waiting':
          if (Date.parse(event.time) > since) observer.waiting?.(event.data);
          break;
        case 'step.completed':
          if (!told.has(event.data.step)) observer.step?.(event.data);
          told.add(event.data.step);
          break;
        case 'run.paused':
          observer.paused?.(event.data.cause?.message ?? 'somebody paused it');
          break;
        case 'run.resumed':
          observer.resumed?.();
          break;
        case 'run.build-changed':
          observer.buildChanged?.(event.data);
          break;
        case 'run.warning':
          observer.warned?.(event.data);
          break;
        case 'run.completed':
          // The run has ended if the stream ends here; else it was extended.
          observer.completed?.(Date.parse(event.time));
          completed = event.data;
          break;
        case 'run.extended':
          completed = undefined;
          observer.extended?.(event.data);
          break;
        case 'run.failed': {
          const { cause } = event.data;
          throw new CliError('CLI_RUN_FAILED', `run ${run} failed: ${cause.message}`, { cause });
        }
        case 'run.cancelled':
          throw new CliError('CLI_RUN_FAILED', `run ${run} was cancelled: ${event.data.reason}`);
      }
    }
  } finally {
    clearInterval(looking);
    over.release();
  }
  throw over.signal.reason;
}

/** The events that every stream of a run has. */
type CoreEvent = TopicEvent<'runs' | 'policy-versions' | 'training-metrics'> & { readonly time: string };

const RECONNECT_MS = 500;

/**
 * The events of a run, each once, over as many streams as that takes, and undefined at the end of each. Ends when the
 * signal aborts.
 */
async function* eventsOf(
  request: Client['request'],
  run: string,
  signal: AbortSignal,
): AsyncGenerator<CoreEvent | undefined, void> {
  let lastEventId: string | undefined;
  while (!signal.aborted) {
    const headers: Record<string, string> = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
    const response = await request(`/v1/runs/${run}/events`, { headers });
    if (response.ok) {
      try {
        for await (const { id, data } of messagesIn(response, signal)) {
          yield JSON.parse(data) as CoreEvent;
          lastEventId = id;
        }
        yield undefined;
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    } else {
      const error = await problemOf(response);
      if (!isPassing(error)) throw error;
    }
    // A stream that ends without the run's end was cut: its gateway is stopping, or starting again.
    await pause(RECONNECT_MS, signal);
  }
}

const messagesIn = ({ body }: Response, signal: AbortSignal) =>
  body!.pipeThrough(new TextDecoderStream(), { signal }).pipeThrough(new EventSourceParserStream());
