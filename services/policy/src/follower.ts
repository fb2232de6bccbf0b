/** Follows one run: fetches each version when it is published, and swaps it in when it is whole. */
import { isUnavailable, messageOf, type Projection, RuntimeError } from '@rlhf-streams/bus';
import type { Cause } from '@rlhf-streams/events';
import type { PublishedVersion } from '@rlhf-streams/runs';
import type { ModelHost, Pin } from '@rlhf-streams/serving';
import { linked, retry } from '@rlhf-streams/waiting';
import type { PolicyModel } from './models.js';
import { createWatch } from './watch.js';

/** A version of a run's policy, in memory. */
export interface LoadedPolicy extends PolicyModel {
  readonly version: number;
}

/** Why the newest version is not applied. */
export interface Trouble {
  readonly run: string;
  /** The version wanted. */
  readonly version: number;
  readonly applied?: number;
  readonly cause: Cause;
  /** Attempts that failed, one after another. */
  readonly failures: number;
}

export interface Follower {
  /** Set when an attempt to apply a version fails, until one succeeds. */
  readonly trouble: Trouble | undefined;
  /**
   * Works with the newest version applied, which is `least` or later; waits for it while it is on its way.
   * @throws RuntimeError RUNTIME_UNAVAILABLE when it cannot be applied for now, or when the run has ended; the
   *   signal's reason.
   */
  use<T>(least: number, signal: AbortSignal, work: (policy: LoadedPolicy) => Promise<T>): Promise<T>;
  /** Frees the version applied when its last user is done. */
  stop(): void;
}

export interface FollowerOptions {
  readonly run: string;
  readonly versions: Projection<PublishedVersion>;
  readonly host: ModelHost<PolicyModel>;
  readonly report: {
    applied(applied: { run: string; version: number; fetchMs: number }): Promise<void>;
    behind(trouble: Trouble): Promise<void>;
  };
  /** Called when `trouble` appears, changes or goes. */
  readonly onChange: () => void;
  /** Aborted when the service stops. */
  readonly signal: AbortSignal;
  /** Called with an error that should never occur: the service cannot go on. */
  readonly fail: (error: unknown) => void;
  /** Milliseconds between a failed attempt and the next, doubled each time up to 30 s. */
  readonly pauseMs: number;
}

const MOST_PAUSE_MS = 30_000;

export function followVersions(options: FollowerOptions): Follower {
  const { run, versions, host, report, onChange, pauseMs } = options;
  const stopped = new AbortController();
  const { signal, release } = linked(options.signal, stopped.signal);
  const watch = createWatch();
  let applied: { readonly version: number; readonly pin: Pin<PolicyModel> } | undefined;
  let trouble: Trouble | undefined;

  const set = (change: Trouble | undefined) => {
    trouble = change;
    watch.changed();
    onChange();
  };

  const isNewer = (newest: PublishedVersion | undefined) =>
    newest !== undefined && newest.version > (applied?.version ?? -1);

  /** Applies the version that is the newest now. */
  const apply = async (attempt: number) => {
    const { version, model } = versions.state.get(run)!;
    const begun = performance.now();
    const pin = host.pin(model, signal);
    try {
      await pin.loaded;
    } catch (error) {
      pin.release();
      if (!signal.aborted) await failed(version, attempt, error);
      throw error;
    }
    signal.throwIfAborted();
    applied?.pin.release();
    applied = { version, pin };
    set(undefined);
    await report.applied({ run, version, fetchMs: Math.round(performance.now() - begun) });
  };

  const failed = async (version: number, failures: number, error: unknown) => {
    const before = trouble;
    const cause = causeOf(error);
    set({ run, version, ...(applied && { applied: applied.version }), cause, failures });
    if (before?.version !== version || before.cause.code !== cause.code) await report.behind(trouble!);
  };

  const followOn = async () => {
    for (;;) {
      await versions.waitFor((state) => isNewer(state.get(run)), { what: `a version of run ${run}`, signal });
      await retry(apply, {
        shouldRetry: () => true,
        minDelayMs: pauseMs,
        maxDelayMs: MOST_PAUSE_MS,
        signal,
      });
    }
  };
  followOn()
    .catch((error) => {
      if (!signal.aborted) options.fail(error);
    })
    .finally(release);

  return {
    get trouble() {
      return trouble;
    },
    async use(least, callerSignal, work) {
      const unavailable = (why: string) =>
        new RuntimeError('RUNTIME_UNAVAILABLE', `expected version ${least} of run ${run}: ${why}`);
      // The use begins in the turn of the event loop in which the version is found: in the next one it may be released
      // for a later version. The wait ends with the attempt under way, which has a deadline.
      const begun = await watch.until(() => {
        if (signal.aborted) throw unavailable('the run, or the service, has ended');
        if (applied && applied.version >= least) {
          const { version, pin } = applied;
          return { result: pin.use((model) => work({ ...model, version })) };
        }
        if (trouble) throw unavailable(trouble.cause.message);
        return undefined;
      }, callerSignal);
      return begun.result;
    },
    stop() {
      stopped.abort();
      set(undefined);
    },
  };
}

/** The cause to report for a version that cannot be loaded: the store's own error, where the model host only wraps it. */
function causeOf(error: unknown): Cause {
  const cause = isUnavailable(error) && error instanceof Error ? (error.cause ?? error) : error;
  const { code = 'POLICY_FAILED' } = cause as { code?: string };
  return { code, message: messageOf(cause) };
}
