/** Requests runs and watches them to their end. */
import { isDeepStrictEqual } from 'node:util';
import type { DataFor } from '@rlhf-streams/events';
import {
  applyRunEvent,
  neverStarted,
  parseRunConfig,
  type RunConfigInput,
  type RunView,
} from '@rlhf-streams/runs';
import type { Client } from './client.js';
import { CliError, serviceFailed } from './errors.js';

export interface RunObserver {
  started?(run: DataFor<'run.started'>): void;
  step?(step: DataFor<'step.completed'>): void;
  waiting?(wait: DataFor<'run.waiting'>): void;
  /** It waits for something outside of it, which is named. */
  paused?(cause: string): void;
  resumed?(): void;
  /** It went on with what another build had computed. */
  buildChanged?(change: DataFor<'run.build-changed'>): void;
}

/**
 * Requests a run, unless the log has it already. One that ended before it was started is requested anew.
 * @throws CliError CLI_RUN_EXISTS when it has another of the name.
 */
export async function requestRun({ events }: Pick<Client, 'events'>, config: RunConfigInput): Promise<void> {
  const { view } = await readRun(events, config.run);
  if (view && !neverStarted(view)) {
    const differing = differences({ ...view.config }, { ...parseRunConfig(config) });
    if (differing.length === 0) return;
    throw new CliError(
      'CLI_RUN_EXISTS',
      `run ${config.run} exists with another configuration, which differs in ${differing.join(', ')}: give this one another name`,
    );
  }
  await events.publish([
    {
      type: 'run.requested',
      id: `${config.run}/requested`,
      data: { run: config.run, config: { ...config } },
    },
  ]);
}

/** The settings that two configurations do not share, by their names at the top. */
function differences(one: Record<string, unknown>, other: Record<string, unknown>): string[] {
  const names = new Set([...Object.keys(one), ...Object.keys(other)]);
  return [...names].filter((name) => !isDeepStrictEqual(one[name], other[name]));
}

/** Whether the log has a run that is not to be requested anew. */
export async function isThere({ events }: Pick<Client, 'events'>, run: string): Promise<boolean> {
  const { view } = await readRun(events, run);
  return view !== undefined && !neverStarted(view);
}

/** A run as the log has it, and the offset of its request. */
async function readRun(
  events: Pick<Client, 'events'>['events'],
  run: string,
): Promise<{ readonly view?: RunView; readonly requestedAt: number }> {
  const runs = new Map<string, RunView>();
  let requestedAt = -1;
  for await (const event of events.readAll(['runs'])) {
    if (event.data.run !== run) continue;
    const before = runs.get(run);
    applyRunEvent(runs, event);
    if (event.type === 'run.requested' && runs.get(run) !== before) requestedAt = event.offset;
  }
  const view = runs.get(run);
  return { requestedAt, ...(view && { view }) };
}

/** Milliseconds without an event of the run until the services are asked what they wait for. */
const QUIET_MS = 5_000;

/**
 * Tells the observer of everything a run did and does, until it has completed.
 * @throws CliError CLI_RUN_FAILED when it fails, with the run's own cause as `cause`, or is cancelled; CLI_SERVICE_FAILED; the signal's reason.
 */
export async function followRun(
  { events, failed, troubles }: Pick<Client, 'events' | 'failed' | 'troubles'>,
  run: string,
  observer: RunObserver,
  signal?: AbortSignal,
): Promise<DataFor<'run.completed'>> {
  const over = new AbortController();
  void failed.then(({ service, error }) => over.abort(serviceFailed(service, error)));
  const either = signal ? AbortSignal.any([signal, over.signal]) : over.signal;
  // What is before its request is of one by its name that never started.
  const { requestedAt } = await readRun(events, run);
  const told = new Set<number>();
  const tell = (step: DataFor<'step.completed'>) => {
    if (!told.has(step.step)) observer.step?.(step);
    told.add(step.step);
  };
  // A log that takes no event does not tell that the run waits: the services do.
  let seen = performance.now();
  const looking = setInterval(async () => {
    if (performance.now() - seen < QUIET_MS) return;
    const reasons = await troubles();
    // Which run it is, its line says.
    const words = reasons.map((reason) => reason.replace(`run ${run} waits: `, ''));
    if (words.length > 0) observer.paused?.([...new Set(words)].join('; '));
  }, QUIET_MS).unref();
  try {
    for await (const event of events.follow({ topics: ['runs', 'training-metrics'], signal: either })) {
      if (event.data.run !== run || (event.topic === 'runs' && event.offset < requestedAt)) continue;
      seen = performance.now();
      switch (event.type) {
        case 'run.started':
          observer.started?.(event.data);
          break;
        case 'run.waiting':
          observer.waiting?.(event.data);
          break;
        case 'step.completed':
          tell(event.data);
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
          // Topics are read side by side: of a run that ended before, the end may come before its steps.
          for await (const { data } of events.readAll(['training-metrics'], { signal: either }))
            if (data.run === run) tell(data);
          return event.data;
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
  }
  throw either.reason;
}
