/** Requests the runs of an experiment that the log lacks, in one transaction. */
import { isDeepStrictEqual } from 'node:util';
import { nearest } from '@rlhf-streams/events';
import {
  type Experiment,
  hasEnded,
  neverStarted,
  type RunConfig,
  type RunView,
  replayed,
  runsBuiltOn,
  sameRun,
  sourcePath,
} from '@rlhf-streams/runs';
import { type FieldError, problem } from '@rlhf-streams/service';
import { z } from 'zod';
import { inTime } from '../runs/confirm.js';
import { differing, inShort } from '../runs/request-run.js';
import type { ExperimentsContext } from './context.js';

type Runs = ReadonlyMap<string, RunView>;

/**
 * Requests the runs of an experiment that the log lacks, and resolves when it shows all.
 * @returns whether any was lacking
 * @throws a problem: 400 RUN_SOURCE_UNKNOWN; 409 RUN_EXISTS naming everything that differs; 503 RUN_NOT_CONFIRMED.
 */
export async function requestExperiment(
  asked: Experiment,
  { runs, exclusive, timeoutMs }: Pick<ExperimentsContext, 'runs' | 'exclusive' | 'timeoutMs'>,
): Promise<boolean> {
  const { experiment, tags } = asked;
  // Where nothing is to be requested, this needs no writer: it is answered while the log takes no writes, too.
  if (differences(asked, runs.state).length === 0 && lackingIn(runs.state, asked).length === 0) return false;
  const what = `the log to confirm the runs of experiment ${experiment}`;
  return inTime(what, timeoutMs, async (signal) => {
    const request = () =>
      exclusive(async (newest, publish) => {
        if (hasDoomed(asked, newest)) return undefined;
        refuseDifferences(asked, newest);
        const lacking = lackingIn(newest, asked);
        refuseUnknownSources(asked, lacking, newest);
        if (lacking.length > 0)
          await publish(
            lacking.map(({ run, config, order }) => ({
              type: 'run.requested',
              id: `${run}/requested`,
              data: { run, config, experiment, order, ...(tags && { tags }) },
            })),
          );
        return lacking.map(({ run, config }) => ({ run, config, before: newest.get(run) }));
      }, signal);
    const isClear = (state: Runs) => !hasDoomed(asked, state);
    let requested: Awaited<ReturnType<typeof request>>;
    do {
      await runs.waitFor(isClear, { timeoutMs, what, signal });
      requested = await request();
    } while (!requested);
    const waited = requested;
    await runs.waitFor(
      (state) => waited.every(({ run, config, before }) => isShown(state.get(run), config, before)),
      { timeoutMs, what, signal },
    );
    // POST /v1/runs may have taken a name meanwhile.
    refuseDifferences(asked, runs.state);
    return waited.length > 0;
  });
}

interface Lacking {
  readonly run: string;
  readonly config: RunConfig;
  readonly order: number;
}

/** Runs that the log does not have, or that ended before they were started, or that no experiment has asked for. */
const lackingIn = (state: Runs, { runs }: Experiment): Lacking[] =>
  runs.flatMap((config, order) => {
    const view = state.get(config.run);
    const isThere = view && !neverStarted(view) && view.experiment !== undefined;
    return isThere ? [] : [{ run: config.run, config, order }];
  });

/**
 * Whether a run of the set is about to fail, because one that it builds on has failed. Both are to be requested anew together,
 * so the request waits until the first has failed too.
 */
function hasDoomed({ runs }: Experiment, state: Runs): boolean {
  const known = new Map<string, boolean>();
  const isDoomed = (run: string): boolean => {
    const view = state.get(run);
    if (!view?.config || view.artifacts || hasEnded(view)) return false;
    const before = known.get(run);
    if (before !== undefined) return before;
    // Found again on the way, in a circle, the run itself is no reason to fail.
    known.set(run, false);
    // A replay needs a run that was started, even if it failed.
    const isLost = replayed(view.config) === undefined ? hasFailed : wasNeverStarted;
    const sources = runsBuiltOn(view.config);
    const doomed = sources.some((source) => isLost(state.get(source)) || isDoomed(source));
    known.set(run, doomed);
    return doomed;
  };
  return runs.some(({ run }) => isDoomed(run));
}

const hasFailed = (view: RunView | undefined): boolean =>
  view !== undefined && hasEnded(view) && view.status !== 'completed';

const wasNeverStarted = (view: RunView | undefined): boolean => view !== undefined && neverStarted(view);

/** Whether the projection has come so far as to show whose the run is: the experiment's, or somebody else's. */
function isShown(now: RunView | undefined, config: RunConfig, before: RunView | undefined): boolean {
  if (!now) return false;
  const isAnew = before && neverStarted(before);
  if (isAnew && now.requestOffset === before.requestOffset) return false;
  return now.experiment !== undefined || !now.config || !sameRun(now.config, config);
}

const MOST_NAMED = 50;

function refuseDifferences(asked: Experiment, state: Runs): void {
  const differing = differences(asked, state);
  if (differing.length === 0) return;
  const errors = differing.slice(0, MOST_NAMED);
  throw problem(
    409,
    'RUN_EXISTS',
    'A run exists',
    `runs of these names exist otherwise than they are asked for, which differ in ${[...new Set(errors.map(({ path }) => path))].join(', ')}: choose other names, or see /v1/runs`,
    { errors },
  );
}

function differences({ experiment, tags = {}, runs }: Experiment, state: Runs): FieldError[] {
  return runs.flatMap((config, index) => {
    const view = state.get(config.run);
    if (!view || neverStarted(view)) return [];
    const differs = (path: readonly (string | number)[], message: string): FieldError => ({
      path: z.core.toDotPath([...path]),
      message,
      code: 'differs',
    });
    if (view.experiment !== undefined && view.experiment !== experiment)
      return [
        differs(
          ['runs', index, 'run'],
          `expected a run of no other experiment, got ${config.run}, which is of experiment ${view.experiment}`,
        ),
      ];
    if (!view.config)
      return [differs(['runs', index], `run ${config.run} was requested with no valid configuration`)];
    const has = view.tags ?? {};
    const otherTags =
      view.experiment !== undefined && !isDeepStrictEqual(has, { ...tags })
        ? [differs(['tags'], `expected ${inShort(has)}, as run ${config.run} has them, got ${inShort(tags)}`)]
        : [];
    return [...differing(view, config, ['runs', index]), ...otherTags];
  });
}

function refuseUnknownSources({ runs }: Experiment, lacking: readonly Lacking[], state: Runs): void {
  const known = new Set([...state.keys(), ...runs.map(({ run }) => run)]);
  const errors = lacking.flatMap(({ config, order }) =>
    runsBuiltOn(config)
      .filter((source) => !known.has(source))
      .map((source): FieldError => {
        const meant = nearest(source, [...known]);
        return {
          path: z.core.toDotPath(['runs', order, ...sourcePath(config, source)]),
          message: `expected a run of this set or one that was requested before, got ${source}${meant ? `: did you mean ${meant}?` : ''}`,
          code: 'unknown_run',
        };
      }),
  );
  if (errors.length === 0) return;
  const first = errors[0]!;
  throw problem(
    400,
    'RUN_SOURCE_UNKNOWN',
    'A run is not known',
    `${first.path}: ${first.message}${errors.length > 1 ? `; and ${errors.length - 1} more` : ''}`,
    { errors: errors.slice(0, MOST_NAMED) },
  );
}
