/** Reports a run that makes no progress, and gives up at its deadline. */
import type { DataFor } from '@rlhf-streams/events';

export interface StallOptions {
  /** The longest time without progress. */
  readonly deadlineMs: number;
  readonly report: (waiting: Pick<DataFor<'run.waiting'>, 'sinceMs' | 'deadlineMs'>) => void;
  readonly giveUp: () => void;
}

export interface StallWatch {
  /** An event that the run waited for came. */
  progress(): void;
  /** The run computes and waits for nothing. */
  pause(): void;
  /** The run is paused: until `release` its time does not count. */
  hold(): void;
  release(): void;
  stop(): void;
}

/**
 * The first report comes after 15 seconds, or half the deadline if that is shorter, and the next each time the wait has
 * doubled.
 */
const FIRST_REPORT_MS = 15_000;

export function watchForStall({ deadlineMs, report, giveUp }: StallOptions): StallWatch {
  let timer: NodeJS.Timeout | undefined;
  let held = false;
  /** Begin of the wait, moved forward by the time that it was held; undefined while the run computes. */
  let since: number | undefined;
  /** Length of the wait at the time it was held. */
  let waitedMs = 0;
  let nextReportMs = 0;

  const schedule = () => {
    clearTimeout(timer);
    if (since === undefined || held) return;
    const waited = performance.now() - since;
    timer = setTimeout(look, Math.max(0, Math.min(nextReportMs, deadlineMs) - waited));
    timer.unref();
  };
  const look = () => {
    const sinceMs = Math.round(performance.now() - since!);
    if (sinceMs >= deadlineMs) return giveUp();
    report({ sinceMs, deadlineMs });
    nextReportMs *= 2;
    schedule();
  };
  const progress = () => {
    since = performance.now();
    waitedMs = 0;
    nextReportMs = Math.min(FIRST_REPORT_MS, deadlineMs / 2);
    schedule();
  };
  const pause = () => {
    since = undefined;
    clearTimeout(timer);
  };
  progress();
  return {
    progress,
    pause,
    hold() {
      if (held) return;
      held = true;
      if (since !== undefined) waitedMs = performance.now() - since;
      clearTimeout(timer);
    },
    release() {
      if (!held) return;
      held = false;
      if (since !== undefined) since = performance.now() - waitedMs;
      schedule();
    },
    stop: pause,
  };
}
