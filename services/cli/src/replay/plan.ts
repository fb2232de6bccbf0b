/** Finds the configuration of a replay, and checks it before anything is started. */
import type { Events } from '@rlhf-streams/bus';
import {
  type Change,
  hasEnded,
  loggedBy,
  type RunConfig,
  RunError,
  type RunView,
  readRuns,
  replayConfig,
  replayExtent,
  sameRun,
  stepsCompleted,
} from '@rlhf-streams/runs';
import { CliError } from '../errors.js';

export interface ReplayRequest {
  /** The run to replay. */
  readonly run: string;
  /** Name of the replay; by default that of the run with `-replay-1`, or the next number that is free. */
  readonly as?: string | undefined;
  /** Empty to replay the run as it was. */
  readonly changes: readonly Change[];
}

export interface ReplayPlan {
  /** The configuration of the run that is replayed. */
  readonly source: RunConfig;
  readonly config: RunConfig;
}

/**
 * The configuration of a replay: a new run, or one of the same configuration that has not ended yet.
 * @throws CliError CLI_REPLAY_REFUSED when the run cannot be replayed so, CLI_RUN_EXISTS when its name is another's.
 */
export async function planReplay(
  events: Pick<Events, 'readAll'>,
  { run, as, changes }: ReplayRequest,
): Promise<ReplayPlan> {
  const runs = await readRuns(events.readAll(['runs']));
  const { config: source } = endedRun(runs, run);
  const configAs = (name: string) => orRefused(() => replayConfig(source, name, changes));
  const config = as === undefined ? nextReplay(runs, run, configAs) : configAs(as);
  const known = runs.get(config.run);
  if (known && !isSame(known, config)) {
    throw new CliError(
      'CLI_RUN_EXISTS',
      `run ${config.run} exists with another configuration: give the replay another name`,
    );
  }

  // A replay is replayed from the events that it was trained on.
  const origin = endedRun(runs, loggedBy(config));
  const completed = await stepsCompleted(events.readAll(['training-metrics']), origin.run);
  orRefused(() => replayExtent(config, { ...origin, completed }));
  return { source, config };
}

function endedRun(runs: ReadonlyMap<string, RunView>, run: string): RunView & { readonly config: RunConfig } {
  const view = runs.get(run);
  if (!view) {
    const names = [...runs.keys()].join(', ') || 'none';
    throw refused(`expected a run of the log, got ${run}; there are: ${names}`);
  }
  const { config } = view;
  if (!hasEnded(view)) throw refused(`expected run ${run} to have ended, it is ${view.status}`);
  if (!config || !view.models) throw refused(`expected a run that was started, ${run} never was`);
  return { ...view, config };
}

/** The first replay of a run whose name is free, or that has the same configuration and has not ended. */
function nextReplay(
  runs: ReadonlyMap<string, RunView>,
  run: string,
  configAs: (name: string) => RunConfig,
): RunConfig {
  for (let number = 1; ; number++) {
    const config = configAs(`${run}-replay-${number}`);
    const known = runs.get(config.run);
    if (!known || (!hasEnded(known) && isSame(known, config))) return config;
  }
}

const isSame = (known: RunView, config: RunConfig): boolean =>
  known.config !== undefined && sameRun(known.config, config);

function orRefused<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof RunError)) throw error;
    throw new CliError('CLI_REPLAY_REFUSED', error.message, { cause: error });
  }
}

const refused = (message: string) => new CliError('CLI_REPLAY_REFUSED', message);
