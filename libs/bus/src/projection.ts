import type { TopicName } from '@rlhf-streams/events';
import type { Positions } from '@rlhf-streams/log';
import { FOREVER_MS, withDeadline } from '@rlhf-streams/waiting';
import { codeOf, messageOf, RuntimeError } from './errors.js';
import type { Events } from './events.js';
import { advance, type Received } from './received.js';

/** State computed from topics: read from their beginning or a later position, and followed from there. */
export interface Projection<Value> {
  readonly state: ReadonlyMap<string, Value>;
  /** Resolves when every event that the log had at creation is applied. Rejects as `ended` does. */
  readonly caughtUp: Promise<void>;
  /**
   * The state as the log has it now: a copy of `state`, and what the projection has not heard of yet. Only for an `apply` that
   * replaces values and changes none.
   */
  newest(signal: AbortSignal): Promise<ReadonlyMap<string, Value>>;
  /**
   * The first value other than undefined, null and false that `select` finds once the projection is caught up,
   * looked for again after each event.
   * @throws RuntimeError RUNTIME_DEADLINE naming `what`; RUNTIME_STOPPED when the projection ends before.
   */
  waitFor<Found>(
    select: (state: ReadonlyMap<string, Value>) => Found,
    options: {
      /** Default: for as long as it takes, unless `signal` aborts. */
      readonly timeoutMs?: number;
      readonly what: string;
      readonly signal?: AbortSignal;
    },
  ): Promise<NonNullable<Exclude<Found, false>>>;
  /** Resolves when aborted. Rejects with RUNTIME_PROJECTION when `apply` or the log fails: hand that to `context.fail`. */
  readonly ended: Promise<void>;
}

export interface ProjectionOptions<Name extends TopicName, Value> {
  readonly events: Pick<Events, 'follow' | 'readAll'>;
  readonly topics: readonly Name[];
  /** Where to begin. Default: the earliest event. */
  readonly from?: Positions;
  /** Changes the state by one event. Events of equal key come in order; an event may come twice. */
  readonly apply: (state: Map<string, Value>, event: Received<Name>) => void;
  readonly signal: AbortSignal;
}

/**
 * @example
 * const newest = createProjection<'policy-versions', number>({
 *   events, signal, topics: ['policy-versions'],
 *   apply: (state, { data }) => state.set(data.run, data.version),
 * });
 */
export function createProjection<Name extends TopicName, Value>(
  options: ProjectionOptions<Name, Value>,
): Projection<Value> {
  const { events, topics, apply, signal } = options;
  const state = new Map<string, Value>();
  const waiting = new Set<{ look(): void; giveUp(reason: RuntimeError): void }>();
  const name = `the projection of ${topics.join(', ')}`;
  let from: Positions = options.from ?? {};
  let over: RuntimeError | undefined;

  const take = (event: Received<Name>) => {
    apply(state, event);
    from = advance(from, event);
    for (const waiter of [...waiting]) waiter.look();
  };
  const catchUp = async () => {
    for await (const event of events.readAll(topics, { from, signal })) take(event);
  };
  const follow = async () => {
    for await (const event of events.follow({ topics, from, signal })) take(event);
    throw new RuntimeError('RUNTIME_STOPPED', `${name} was stopped`);
  };
  const end = (cause: unknown): never => {
    const stopped = signal.aborted || codeOf(cause) === 'RUNTIME_STOPPED';
    over ??= new RuntimeError(
      stopped ? 'RUNTIME_STOPPED' : 'RUNTIME_PROJECTION',
      stopped ? `${name} was stopped` : `${name} failed: ${messageOf(cause)}`,
      { cause },
    );
    for (const waiter of [...waiting]) waiter.giveUp(over);
    throw over;
  };

  const caughtUp = catchUp().catch(end);
  const ended = caughtUp
    .then(follow)
    .catch(end)
    .catch((reason: RuntimeError) => {
      if (reason.code !== 'RUNTIME_STOPPED') throw reason;
    });
  // `ended` rejects with the same failure: nobody need handle it twice.
  caughtUp.catch(() => {});

  return {
    state,
    caughtUp,
    ended,
    newest: async (callerSignal) => {
      await caughtUp;
      const newest = new Map(state);
      for await (const event of events.readAll(topics, { from, signal: callerSignal })) apply(newest, event);
      return newest;
    },
    waitFor: async (select, { timeoutMs = FOREVER_MS, what, signal: callerSignal }) => {
      type Found = NonNullable<Exclude<ReturnType<typeof select>, false>>;
      let leave = () => {};
      const appear = () =>
        new Promise<Found>((resolve, reject) => {
          if (over) throw over;
          const look = () => {
            try {
              const found = select(state);
              if (found !== undefined && found !== null && found !== false) resolve(found as Found);
            } catch (error) {
              reject(error);
            }
          };
          const waiter = { look, giveUp: reject };
          waiting.add(waiter);
          leave = () => waiting.delete(waiter);
          look();
        });
      try {
        return await withDeadline(caughtUp.then(appear), {
          ms: timeoutMs,
          late: what,
          signal: callerSignal,
        });
      } finally {
        leave();
      }
    },
  };
}
