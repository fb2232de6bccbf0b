/** Follows one run: fetches each version when it is published, and swaps it in when it is whole. */

import { type Projection, RuntimeError } from '@rlhf-streams/bus';
import type { Cause } from '@rlhf-streams/events';
import type { PublishedVersion } from '@rlhf-streams/runs';
import { pause } from '@rlhf-streams/waiting';
import type { Held, LoadedPolicy } from './held.js';
import { createWatch } from './watch.js';

/** Why the newest version is not applied. */
export interface Trouble {
  readonly run: string;
  /** The version wanted. */
  readonly version: number;
  readonly applied?: number;
  readonly cause: Cause;
  /** Attempts that failed since the last that did not. */
  readonly failures: number;
}

export interface Follower {
  /** Since the last attempt failed, until one succeeds. */
  readonly trouble: Trouble | undefined;
  /**
   * Works with the newest version applied, which is `least` or later; waits for it while it is on its way.
   * @throws RuntimeError RUNTIME_UNAVAILABLE when it cannot be applied for now, or when the run has ended; the
   * signal's reason.
   */
  use<T>(least: number, signal: AbortSignal, work: (policy: LoadedPolicy) => Promise<T>): Promise<T>;
  /** Frees what it holds. */
  stop(): void;
}

export interface FollowerOptions {
  readonly run: string;
  readonly versions: Projection<PublishedVersion>;
  readonly hold: (policy: PublishedVersion, signal: AbortSignal) => Held;
  readonly report: {
    applied(applied: { run: string; version: number; fetchMs: number }): Promise<void>;
    behind(trouble: Trouble): Promise<void>;
  };
  /** Told when `trouble` came, changed or went. */
  readonly onChange: () => void;
  /** Aborted when the service stops. */
  readonly signal: AbortSignal;
  /** Told of what must not happen. */
  readonly fail: (error: unknown) => void;
  /** Milliseconds between a failed attempt and the next, doubled each time up to 30 s. Default 1 s. */
  readonly pauseMs?: number;
}

const MOST_PAUSE_MS = 30_000;

export function followVersions(options: FollowerOptions): Follower {
  const { run, versions, hold, report, onChange, pauseMs = 1000 } = options;
  const stopped = new AbortController();
  const signal = AbortSignal.any([options.signal, stopped.signal]);
  const watch = createWatch();
  let applied: Held | undefined;
  let trouble: Trouble | undefined;

  const set = (change: Trouble | undefined) => {
    trouble = change;
    watch.changed();
    onChange();
  };

  /** Applies the newest version published, if it is not yet. */
  const follow = async () => {
    const wanted = await versions.waitFor(
      (state) => {
        const newest = state.get(run);
        return newest && newest.version > (applied?.version ?? -1) && newest;
      },
      { what: `another version of run ${run}`, signal },
    );
    const { version } = wanted;
    const begun = performance.now();
    const held = hold(wanted, signal);
    try {
      await held.loaded;
    } catch (error) {
      held.retire();
      if (signal.aborted) return;
      await failed(version, error as Error & { code?: string });
      return;
    }
    if (signal.aborted) return held.retire();
    applied?.retire();
    applied = held;
    set(undefined);
    await report.applied({ run, version, fetchMs: Math.round(performance.now() - begun) });
  };

  const failed = async (version: number, { code = 'POLICY_FAILED', message }: Error & { code?: string }) => {
    const before = trouble;
    const failures = (before?.failures ?? 0) + 1;
    const at = applied && { applied: applied.version };
    set({ run, version, ...at, cause: { code, message }, failures });
    if (before?.version !== version || before.cause.code !== code) await report.behind(trouble!);
    await pause(Math.min(pauseMs * 2 ** (failures - 1), MOST_PAUSE_MS), signal);
  };

  const followOn = async () => {
    while (!signal.aborted) await follow();
  };
  followOn().catch((error) => {
    if (!signal.aborted) options.fail(error);
  });

  return {
    get trouble() {
      return trouble;
    },
    async use(least, callerSignal, work) {
      const unavailable = (why: string) =>
        new RuntimeError('RUNTIME_UNAVAILABLE', `expected version ${least} of run ${run}: ${why}`);
      // Begun in the turn in which the version is found: a later one may retire it in the next. The deadline of the
      // attempt under way ends the wait.
      const begun = await watch.until(() => {
        if (signal.aborted) throw unavailable('the run, or the service, has ended');
        if (applied && applied.version >= least) return { result: applied.use(work) };
        if (trouble) throw unavailable(trouble.cause.message);
        return undefined;
      }, callerSignal);
      return begun.result;
    },
    stop() {
      stopped.abort();
      applied?.retire();
      set(undefined);
    },
  };
}
