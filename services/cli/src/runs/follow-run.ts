/** Requests runs of a gateway and watches them to their end, as any client over HTTP does. */
import type { DataFor, TopicEvent } from '@rlhf-streams/events';
import type { Run } from '@rlhf-streams/gateway';
import { neverStarted, parseRunConfig, type RunConfigInput } from '@rlhf-streams/runs';
import { type ProblemDetails, ProblemError, problem } from '@rlhf-streams/service';
import { linked, pause, retry, untilAborted } from '@rlhf-streams/waiting';
import { EventSourceParserStream } from 'eventsource-parser/stream';
import { CliError, serviceFailed } from '../errors.js';
import type { Client } from '../place/client.js';

export interface RunObserver {
  started?(run: DataFor<'run.started'>): void;
  step?(step: DataFor<'step.completed'>): void;
  waiting?(wait: DataFor<'run.waiting'>): void;
  /** The run waits for something outside of itself, which is named. */
  paused?(cause: string): void;
  resumed?(): void;
  /** The run, which had completed, goes on. */
  extended?(extension: DataFor<'run.extended'>): void;
  /** The run went on with what another build had computed. */
  buildChanged?(change: DataFor<'run.build-changed'>): void;
}

/** Times that a request is repeated which the log did not confirm, over some 40 seconds. */
const REPEATS = 10;
const REPEAT_MS = 500;

/**
 * Requests a run, unless the log has it already. One that ended before it was started is requested anew.
 * @throws RunError TRAINING_CONFIG_INVALID; CliError CLI_RUN_EXISTS, naming the settings that differ, when the log has
 *   another run of the name; ProblemError with the gateway's code; the signal's reason.
 */
export async function requestRun(
  { request }: Pick<Client, 'request'>,
  config: RunConfigInput,
  signal?: AbortSignal,
): Promise<void> {
  const parsed = parseRunConfig(config);
  const { run } = parsed;
  const init = {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(parsed),
  };
  const post = async () => {
    const response = await request('/v1/runs', init);
    if (!response.ok) throw await problemOf(response);
  };
  await retry(post, { shouldRetry: isPassing, retries: REPEATS, minDelayMs: REPEAT_MS, signal }).catch(
    (error) => {
      if (!(error instanceof ProblemError) || error.code !== 'RUN_EXISTS') throw error;
      const differing = error.errors?.map(({ path }) => path).join(', ');
      throw new CliError(
        'CLI_RUN_EXISTS',
        `run ${run} exists with another configuration${differing ? `, which differs in ${differing}` : ''}: give this one another name`,
        { cause: error },
      );
    },
  );
}

/** Lets a completed run go on to more steps. @throws ProblemError with the gateway's code. */
export async function extendRun(
  { request }: Pick<Client, 'request'>,
  run: string,
  length: { readonly steps?: number | undefined; readonly epochs?: number | undefined },
): Promise<Run> {
  const response = await request(`/v1/runs/${run}/extend`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(length),
  });
  if (!response.ok) throw await problemOf(response);
  return (await response.json()) as Run;
}

/** Whether the log has a run that is not to be requested anew. @throws the signal's reason. */
export async function isThere(
  { request }: Pick<Client, 'request'>,
  run: string,
  signal: AbortSignal,
): Promise<boolean> {
  const response = await untilAborted(request(`/v1/runs/${run}`), signal);
  if (response.status === 404) return false;
  if (!response.ok) throw await problemOf(response);
  return !neverStarted((await response.json()) as Run);
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
          observer.started?.(event.data);
          break;
        case 'run.waiting':
          observer.waiting?.(event.data);
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
        case 'run.completed':
          // It is the end if nothing follows.
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
type CoreEvent = TopicEvent<'runs' | 'policy-versions' | 'training-metrics'>;

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

/** Whether the same request may be answered later. */
const isPassing = (error: Error): boolean => error instanceof ProblemError && error.status === 503;

async function problemOf(response: Response): Promise<ProblemError> {
  const { status, code, title, detail, errors } = (await response.json()) as ProblemDetails;
  return problem(status, code, title, detail, { ...(errors && { errors }) });
}
