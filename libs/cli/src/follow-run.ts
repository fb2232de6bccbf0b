/** Requests runs and watches them to their end. */
import type { DataFor } from '@rlhf-streams/events';
import type { RunConfigInput } from '@rlhf-streams/training/config';
import type { Client } from './client.js';
import { CliError, serviceFailed } from './errors.js';

export interface RunObserver {
  started?(run: DataFor<'run.started'>): void;
  step?(step: DataFor<'step.completed'>): void;
  waiting?(wait: DataFor<'run.waiting'>): void;
}

/**
 * Requests a run, unless the log has it already.
 * @throws CliError CLI_RUN_EXISTS when it has another of the name.
 */
export async function requestRun({ events }: Pick<Client, 'events'>, config: RunConfigInput): Promise<void> {
  for await (const { type, data } of events.readAll(['runs'])) {
    if (type !== 'run.requested' || data.run !== config.run) continue;
    if (JSON.stringify(data.config) === JSON.stringify(config)) return;
    throw new CliError(
      'CLI_RUN_EXISTS',
      `run ${config.run} exists with another configuration: give this one another name`,
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

/**
 * Tells the observer of everything a run did and does, until it has completed.
 * @throws CliError CLI_RUN_FAILED when it fails, with the run's own cause as `cause`, or is cancelled; CLI_SERVICE_FAILED; the signal's reason.
 */
export async function followRun(
  { events, failed }: Pick<Client, 'events' | 'failed'>,
  run: string,
  observer: RunObserver,
  signal?: AbortSignal,
): Promise<DataFor<'run.completed'>> {
  const over = new AbortController();
  void failed.then(({ service, error }) => over.abort(serviceFailed(service, error)));
  const either = signal ? AbortSignal.any([signal, over.signal]) : over.signal;
  const told = new Set<number>();
  const tell = (step: DataFor<'step.completed'>) => {
    if (!told.has(step.step)) observer.step?.(step);
    told.add(step.step);
  };
  for await (const event of events.follow({ topics: ['runs', 'training-metrics'], signal: either })) {
    if (event.data.run !== run) continue;
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
  throw either.reason;
}
