/** Says what a run waits for when it does not move, and gives up at its deadline. */
import type { DataFor } from '@rlhf-streams/events';

export interface StallOptions {
  /** Waiting for so long without progress is an error. */
  readonly deadlineMs: number;
  readonly report: (waiting: Pick<DataFor<'run.waiting'>, 'sinceMs' | 'deadlineMs'>) => void;
  readonly giveUp: () => void;
}

export interface StallWatch {
  /** Something the run waited for came. */
  progress(): void;
  /** The run computes: it waits for nobody. */
  pause(): void;
  stop(): void;
}

/**
 * A run is said to wait after a quarter of a minute, or half its deadline if that is shorter, and again each time that
 * its wait has doubled.
 */
const FIRST_REPORT_MS = 15_000;

export function watchForStall({ deadlineMs, report, giveUp }: StallOptions): StallWatch {
  let timer: NodeJS.Timeout | undefined;
  const waitSince = (since: number, nextReportMs: number) => {
    clearTimeout(timer);
    const waited = performance.now() - since;
    const until = Math.min(nextReportMs, deadlineMs) - waited;
    timer = setTimeout(
      () => {
        const sinceMs = Math.round(performance.now() - since);
        if (sinceMs >= deadlineMs) return giveUp();
        report({ sinceMs, deadlineMs });
        waitSince(since, nextReportMs * 2);
      },
      Math.max(0, until),
    );
    timer.unref();
  };
  const progress = () => waitSince(performance.now(), Math.min(FIRST_REPORT_MS, deadlineMs / 2));
  progress();
  return {
    progress,
    pause: () => clearTimeout(timer),
    stop: () => clearTimeout(timer),
  };
}
