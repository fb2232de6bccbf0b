/** A sweep under way: a line for each run that ends, and how far the others are. */
import { hasEnded } from '@rlhf-streams/runs';
import color from 'picocolors';
import type { Progress } from './carry-out.js';

const TOLD_EVERY_MS = 30_000;

export interface SweepLines {
  looked(progress: Progress): void;
  /** Ends the line that is rewritten. */
  close(): void;
}

/** On a terminal the last line is rewritten, elsewhere one is written every 30 s. */
export function sweepLines(out: NodeJS.WriteStream = process.stdout): SweepLines {
  const live = out.isTTY === true;
  const begun = performance.now();
  const told = new Set<string>();
  let toldAt = begun;
  const clear = live ? '\r\u001b[K' : '';
  return {
    looked({ runs, total }) {
      const over = runs.filter(hasEnded);
      for (const { run, status, steps, cause } of over) {
        if (told.has(run)) continue;
        told.add(run);
        const mark = status === 'completed' ? color.green('✓') : color.red('✗');
        const why = status === 'completed' ? '' : `  ${status}: ${cause?.message ?? 'no cause given'}`;
        out.write(
          `${clear}${mark} ${run.padEnd(44)} ${`${steps.done}/${steps.total ?? '?'}`.padStart(9)} steps${why}\n`,
        );
      }
      const open = runs
        .filter((run) => !hasEnded(run) && run.status !== 'requested')
        .map(
          ({ run, steps, status }) =>
            `${run} ${steps.done}/${steps.total ?? '?'}${status === 'paused' ? ' paused' : ''}`,
        );
      const seconds = Math.round((performance.now() - begun) / 1000);
      const line = `${over.length} of ${total} runs, ${seconds} s; under way: ${open.join(', ') || 'none yet'}`;
      if (live) out.write(`${clear}${line.slice(0, (out.columns ?? 120) - 1)}`);
      else if (performance.now() - toldAt >= TOLD_EVERY_MS) {
        toldAt = performance.now();
        out.write(`· ${line}\n`);
      }
    },
    close() {
      if (live) out.write(clear);
    },
  };
}
