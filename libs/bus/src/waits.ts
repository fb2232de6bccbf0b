/**
 * What runs wait for outside of themselves: room on a disk, a permission, a store or a broker. That is no failure of
 * theirs. A wait that lasts becomes `run.paused`, and `run.resumed` when it is over; where the log itself takes no
 * event, /readyz says so meanwhile, and the event follows once it can.
 */
import type { Cause } from '@rlhf-streams/events';
import { linked, pause } from '@rlhf-streams/waiting';
import { codeOf, messageOf } from './errors.js';
import type { Logger } from './logger.js';
import type { NewEvent } from './publish.js';

export interface Waits {
  /** A piece of a run's work, named `work`, has to wait because of `error`; of several calls the newest error counts. */
  begin(run: string, work: string, error: unknown): void;
  /** The work goes on. */
  goesOn(run: string, work: string): void;
  /** The work is no longer this service's: whether it goes on is for others to say. */
  forget(run: string, work: string): void;
  /** What is waited for now, a sentence a run. */
  list(): string[];
}

export interface WaitsOptions {
  readonly service: string;
  readonly publish: (events: readonly NewEvent[]) => Promise<void>;
  readonly logger: Logger;
  /** Aborted when the service begins to drain. */
  readonly signal: AbortSignal;
  /** Milliseconds that a wait lasts until it is published: one that is over sooner is not worth an event. */
  readonly lastingMs?: number;
}

interface Wait {
  /** Causes by the name of the work. */
  readonly works: Map<string, Cause>;
  readonly over: AbortController;
  goesOn: boolean;
}

/** `run.paused` is published again after this time: another replica may have published `run.resumed` meanwhile. */
const REPEAT_MS = 60_000;

export function createWaits({
  service: by,
  publish,
  logger,
  signal,
  lastingMs = 2_000,
}: WaitsOptions): Waits {
  const waits = new Map<string, Wait>();
  /** By run, the promise that every event about its earlier waits is published: later ones come after them. */
  const saying = new Map<string, Promise<void>>();

  /** Whether the log took the event. */
  const say = (event: NewEvent): Promise<boolean> =>
    publish([event]).then(
      () => true,
      (err) => {
        logger.warn({ err }, `${event.type} cannot be published for now: ${messageOf(err)}`);
        return false;
      },
    );
  const idOf = (run: string, what: string) => `${run}/${what}/${by}/${Date.now()}`;

  const tell = async (run: string, wait: Wait): Promise<void> => {
    const { signal: until, release } = linked(wait.over.signal, signal);
    let isPaused = false;
    await pause(lastingMs, until);
    while (!until.aborted) {
      const [cause] = wait.works.values();
      const said = await say({
        type: 'run.paused',
        id: idOf(run, 'paused'),
        data: { run, by, cause: cause! },
      });
      isPaused ||= said;
      await pause(said ? REPEAT_MS : lastingMs, until);
    }
    release();
    while (isPaused && wait.goesOn && !signal.aborted) {
      isPaused = !(await say({ type: 'run.resumed', id: idOf(run, 'resumed'), data: { run, by } }));
      if (isPaused) await pause(lastingMs, signal);
    }
  };

  const end = (run: string, work: string, goesOn: boolean) => {
    const wait = waits.get(run);
    if (!wait?.works.delete(work) || wait.works.size > 0) return;
    waits.delete(run);
    wait.goesOn = goesOn;
    wait.over.abort();
  };

  return {
    begin(run, work, error) {
      const cause = { code: codeOf(error), message: messageOf(error) };
      const known = waits.get(run);
      if (known) {
        known.works.set(work, cause);
        return;
      }
      const wait = { works: new Map([[work, cause]]), over: new AbortController(), goesOn: false };
      waits.set(run, wait);
      const said = (saying.get(run) ?? Promise.resolve()).then(() => tell(run, wait));
      saying.set(run, said);
      void said.then(() => {
        if (saying.get(run) === said) saying.delete(run);
      });
    },
    goesOn: (run, work) => end(run, work, true),
    forget: (run, work) => end(run, work, false),
    list: () =>
      [...waits].map(([run, { works }]) => {
        const messages = new Set([...works.values()].map(({ message }) => message));
        return `run ${run} waits: ${[...messages].join('; ')}`;
      }),
  };
}
