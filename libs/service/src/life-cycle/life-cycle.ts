import { type Logger, messageOf, RuntimeError } from '@rlhf-streams/bus';
import { runStopSteps, type StopStep } from './stop-steps.js';

/**
 * The life of a service. It has no other states and no other ways between them:
 *
 *     starting -> ready       `start` returned
 *     starting -> draining    `start` threw, its time was up, or `stop` or `fail` was called
 *     ready    -> draining    `stop` or `fail` was called
 *     draining -> stopped     everything ended in time, and there was no failure
 *     draining -> failed      there was a failure, or something did not end
 */
export const serviceStates = ['starting', 'ready', 'draining', 'stopped', 'failed'] as const;
export type ServiceState = (typeof serviceStates)[number];

const NEXT: Readonly<Record<ServiceState, readonly ServiceState[]>> = {
  starting: ['ready', 'draining'],
  ready: ['draining'],
  draining: ['stopped', 'failed'],
  stopped: [],
  failed: [],
};

/** How a service ended. */
export type ServiceEnd =
  | { readonly state: 'stopped' }
  | { readonly state: 'failed'; readonly error: unknown };

export interface LifeCycle {
  readonly state: ServiceState;
  /** Aborts when draining begins: with the failure, or RUNTIME_STOPPED. */
  readonly signal: AbortSignal;
  /** Resolves when the service has ended, for whatever reason; never rejects. */
  readonly ended: Promise<ServiceEnd>;
  /** Adds something to end, before what was added earlier. */
  onStop(step: StopStep): void;
  /** The service is up. */
  ready(): void;
  /**
   * Ends the service, once; `failure` is why, unless it was asked to. Resolves to what went wrong while stopping, or
   * to undefined.
   */
  drain(failure?: { readonly error: unknown }): Promise<unknown>;
  /** The service cannot go on: it drains, and ends as failed. */
  fail(error: unknown): void;
}

export function createLifeCycle(options: {
  readonly name: string;
  readonly logger: Logger;
  /** Milliseconds from the beginning of draining to the end. */
  readonly stopTimeoutMs: number;
  /** All that ends, in its order, around what was added by `onStop`. */
  readonly steps: (added: readonly StopStep[]) => readonly StopStep[];
}): LifeCycle {
  const { name, logger, stopTimeoutMs, steps } = options;
  let state: ServiceState = 'starting';
  const enter = (next: ServiceState) => {
    if (!NEXT[state].includes(next)) throw new Error(`${name} is ${state}, and cannot be ${next}`);
    state = next;
  };
  const draining = new AbortController();
  const added: StopStep[] = [];
  let stopping: Promise<unknown> | undefined;
  let resolveEnded: (end: ServiceEnd) => void;
  const ended = new Promise<ServiceEnd>((resolve) => {
    resolveEnded = resolve;
  });

  const stop = async (failure: { readonly error: unknown } | undefined): Promise<unknown> => {
    enter('draining');
    draining.abort(failure ? failure.error : new RuntimeError('RUNTIME_STOPPED', `${name} is stopping`));
    const stopError = await runStopSteps(steps(added.reverse()), stopTimeoutMs).then(
      () => undefined,
      (error: unknown) => error,
    );
    if (stopError) logger.error({ err: stopError }, 'did not stop cleanly');
    const end: ServiceEnd =
      failure || stopError ? { state: 'failed', error: failure?.error ?? stopError } : { state: 'stopped' };
    enter(end.state);
    logger.info({ state }, 'ended');
    resolveEnded(end);
    return stopError;
  };
  const drain = (failure?: { readonly error: unknown }) => {
    stopping ??= stop(failure);
    return stopping;
  };
  const fail = (error: unknown) => {
    if (stopping) return logger.error({ err: error }, 'failed while stopping');
    // A start that fails is told by whoever asked for it: `startService` throws the error.
    if (state === 'ready') logger.fatal({ err: error }, `failed: ${messageOf(error)}`);
    void drain({ error });
  };

  return {
    get state() {
      return state;
    },
    signal: draining.signal,
    ended,
    onStop: (step) => {
      added.push(step);
      // Too late for its turn: what `start` opened after it was given up must still be closed.
      if (stopping) runStopSteps([step], stopTimeoutMs).catch(fail);
    },
    ready: () => enter('ready'),
    drain,
    fail,
  };
}
