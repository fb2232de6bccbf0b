/** Carries out a set of runs: they are asked for a few members at a time, and followed until all have ended. */
import type { Experiment } from '@rlhf-streams/gateway';
import { hasEnded, type RunConfig } from '@rlhf-streams/runs';
import { linked, pause } from '@rlhf-streams/waiting';
import { CliError, serviceFailed } from '../errors.js';
import type { Client } from '../place/client.js';
import { lookAt, requestExperiment } from '../runs/request-run.js';

export type ShownRun = Experiment['runs'][number];

export interface RunSet {
  /** What its runs are asked for as. */
  readonly experiment: string;
  readonly tags?: Readonly<Record<string, string>>;
  /** What members build on, asked for at once. */
  readonly first: readonly RunConfig[];
  /** A training run each, and what measures it. */
  readonly members: readonly (readonly RunConfig[])[];
}

export interface CarryOutOptions {
  /** Members that are under way at a time. */
  readonly parallel: number;
  readonly signal: AbortSignal;
  /** Told of how far the runs are that were asked for, about once a second. */
  readonly looked?: (progress: Progress) => void;
}

export interface Progress {
  readonly runs: readonly ShownRun[];
  /** Runs of the whole set. */
  readonly total: number;
}

const LOOK_MS = 1000;
/** A run that does not get on fails by itself after its own `stallTimeoutMs`: this much later something else is wrong. */
const BEYOND_STALL_MS = 300_000;

/**
 * Asks for the runs of a set, as one experiment, so that at most `parallel` members are under way; runs that the log has
 * already go on. A run that fails loses only those that build on it.
 * @returns the runs as they ended, those that failed among them
 * @throws CliError CLI_SERVICE_FAILED; CLI_RUN_FAILED when no run gets on; as `requestExperiment` does; the signal's reason.
 */
export async function carryOut(
  client: Pick<Client, 'request' | 'failed'>,
  { experiment, tags, first, members }: RunSet,
  { parallel, signal, looked }: CarryOutOptions,
): Promise<readonly ShownRun[]> {
  const broken = new AbortController();
  void client.failed.then(({ service, error }) => broken.abort(serviceFailed(service, error)));
  const either = linked(signal, broken.signal);
  const total = first.length + members.flat().length;
  const stalled = watch(Math.max(...[first, ...members].flat().map((run) => run.stallTimeoutMs)));
  /** Runs that failed since they were asked for here: they are not asked for again. */
  const failed = new Set<string>();
  let asked = 0;
  const ask = async (count: number) => {
    asked = Math.min(members.length, count);
    const runs = [first, ...members.slice(0, asked)].flat().filter(({ run }) => !failed.has(run));
    await requestExperiment(client, { experiment, ...(tags && { tags }), runs }, either.signal);
  };
  try {
    await ask(parallel);
    for (;;) {
      const view = await lookAt(client, experiment, either.signal);
      if (view) {
        const byName = new Map(view.runs.map((run) => [run.run, run]));
        const here = [first, ...members.slice(0, asked)].flat();
        for (const { run } of here) {
          const status = byName.get(run)?.status;
          if (status === 'failed' || status === 'cancelled') failed.add(run);
        }
        looked?.({ runs: here.flatMap(({ run }) => byName.get(run) ?? []), total });
        const isOver = ({ run }: RunConfig) => {
          const shown = byName.get(run);
          return shown !== undefined && hasEnded(shown);
        };
        const open = members.slice(0, asked).filter((member) => !member.every(isOver)).length;
        if (asked < members.length && open < parallel) await ask(asked + parallel - open);
        else if (asked === members.length && open === 0 && first.every(isOver)) return view.runs;
        stalled(view.runs);
      }
      await pause(LOOK_MS, either.signal);
      either.signal.throwIfAborted();
    }
  } finally {
    either.release();
  }
}

/** Throws when nothing has changed for too long, unless a run is paused, which says what it waits for. */
function watch(stallTimeoutMs: number): (runs: readonly ShownRun[]) => void {
  let [seen, since] = ['', performance.now()];
  return (runs) => {
    const now = JSON.stringify(runs.map(({ run, status, steps }) => [run, status, steps.done]));
    if (now !== seen || runs.some(({ status }) => status === 'paused'))
      [seen, since] = [now, performance.now()];
    const waited = performance.now() - since;
    if (waited < stallTimeoutMs + BEYOND_STALL_MS) return;
    const open = runs.filter((run) => !hasEnded(run)).map(({ run }) => run);
    throw new CliError(
      'CLI_RUN_FAILED',
      `expected a run to get on, none did for ${Math.round(waited / 1000)} s: ${open.join(', ')}. Are the services up?`,
    );
  };
}
