/**
 * A run under way: on a terminal one line that is rewritten, elsewhere a line when it begins, every 30 s, and at its
 * end.
 */
import type { DataFor } from '@rlhf-streams/events';
import { buildChangeText, type MethodName, methods, type ShownMetric, warningText } from '@rlhf-streams/runs';
import color from 'picocolors';
import { dataLine } from './data-line.js';
import type { RunObserver } from './follow-run.js';

export interface ProgressLine extends RunObserver {
  done(): void;
  /** Leaves the line as it stands: the run did not complete. */
  abandon(): void;
  /** Leaves the line as it stands: the run goes on another time. */
  leave(): void;
  /** Which runs it waits for, and how far others are that go on meanwhile. */
  beside(others: { readonly waitsFor: readonly string[]; readonly running: readonly string[] }): void;
}

const TOLD_EVERY_MS = 30_000;
const WAITS = '  waits for ';
const PREPARED = '  being prepared';

export function progressLine(
  about: {
    readonly label: string;
    readonly method: MethodName;
    readonly steps?: number | undefined;
    /** The time, as of `performance.now()`, from which a run may have gone on before its line. Default: now. */
    readonly since?: number;
  },
  out: NodeJS.WriteStream = process.stdout,
): ProgressLine {
  const shown = methods[about.method].progress;
  let begun = performance.now();
  const { since = begun } = about;
  let ended: number | undefined;
  const live = out.isTTY === true;
  let done = 0;
  let total = about.steps;
  let train: Record<string, number> = {};
  let test: Record<string, number> = {};
  let note = PREPARED;
  let beside = '';

  const text = () => {
    const seconds = (((ended ?? performance.now()) - begun) / 1000).toFixed(1).padStart(6);
    const steps = `${Math.min(done, total ?? done)}/${total ?? '?'}`.padStart(9);
    const numbers = [...pick(shown.step, train), ...pick(shown.heldOut, test)].join('  ');
    return `${about.label.padEnd(28)}${steps} steps ${seconds} s   ${numbers}${note}${beside}`;
  };
  const draw = () => {
    if (live) out.write(`\r\u001b[K${text().slice(0, (out.columns ?? 120) - 1)}`);
  };
  const finish = (mark: string) => {
    clearInterval(telling);
    note = '';
    beside = '';
    out.write(`${live ? '\r\u001b[K' : ''}${mark} ${text()}\n`);
  };
  // A log that is read later tells how far a run is, and that it goes on.
  const telling = live ? undefined : setInterval(() => out.write(`· ${text()}\n`), TOLD_EVERY_MS).unref();
  if (live) draw();
  else out.write(`· ${about.label} begins\n`);
  return {
    started({ steps, data, datasets = {} }, at) {
      begun = Math.max(since, Math.min(begun, timeOf(at)));
      total = steps;
      note = '';
      const accounts = [...(data ? [['', data] as const] : []), ...Object.entries(datasets)];
      for (const [name, account] of accounts) {
        const became = dataLine(account);
        const whose = name ? `${name} data: ` : '';
        if (became) out.write(`${live ? '\r\u001b[K' : ''}  ${about.label}: ${whose}${became}\n`);
      }
      draw();
    },
    step({ step, split, metrics }: DataFor<'step.completed'>) {
      note = '';
      if (split === 'train') {
        done = step + 1;
        train = metrics;
      }
      // Not every step measures held-out items: the last measures stay.
      test = { ...test, ...metrics };
      draw();
    },
    waiting({ waitingFor, sinceMs }) {
      const missing = Object.entries(waitingFor)
        .map(([topic, count]) => `${count} ${topic}`)
        .join(', ');
      note = color.yellow(`  waiting ${Math.round(sinceMs / 1000)} s for ${missing}`);
      if (live) draw();
      else out.write(`${about.label}:${note}\n`);
    },
    paused(cause) {
      const before = note;
      note = color.yellow(`  paused, goes on by itself when this is mended: ${cause}`);
      if (live) draw();
      else if (note !== before) out.write(`${about.label}:${note}\n`);
    },
    resumed() {
      note = '';
      if (live) draw();
      else out.write(`${about.label}: goes on\n`);
    },
    extended({ steps }) {
      total = steps;
      draw();
    },
    buildChanged(change) {
      out.write(`${live ? '\r\u001b[K' : ''}  ${about.label}: ${color.yellow(buildChangeText(change))}\n`);
      draw();
    },
    warned(warning) {
      out.write(`${live ? '\r\u001b[K' : ''}  ${about.label}: ${color.yellow(warningText(warning))}\n`);
      draw();
    },
    completed(at) {
      ended = Math.max(begun, timeOf(at));
    },
    beside({ waitsFor, running }) {
      if (note === PREPARED || note.startsWith(WAITS))
        note = waitsFor.length > 0 ? `${WAITS}${waitsFor.join(', ')}` : PREPARED;
      beside = running.length > 0 ? color.dim(`  beside: ${running.join(', ')}`) : '';
      draw();
    },
    done: () => void finish(color.green('✓')),
    abandon: () => void finish(color.red('✗')),
    leave: () => void finish(color.yellow('–')),
  };
}

/** A time since 1970 as `performance.now()` would have told it. */
const timeOf = (at: number): number => performance.now() - (Date.now() - at);

const pick = (wanted: readonly ShownMetric[], metrics: Readonly<Record<string, number>>): string[] =>
  wanted.flatMap(([label, metric]) =>
    metrics[metric] === undefined ? [] : [`${label} ${shortNumber(metrics[metric])}`],
  );

/** With three decimals; what they round to zero has no sign. */
const shortNumber = (value: number): string => value.toFixed(3).replace(/^-(0\.000)$/, '$1');
