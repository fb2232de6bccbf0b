/**
 * Archives runs that have ended, one at a time, and deletes old records of archived runs from the topics, all in the
 * background. Killed anywhere, the next owner archives every run that has no `run.archived` yet.
 */
import { join } from 'node:path';
import { writeArchive } from '@rlhf-streams/archive';
import { codeOf, messageOf, type Projection, type TransactionalEvents } from '@rlhf-streams/bus';
import { own } from '@rlhf-streams/log';
import { hasEnded, isArchived, neverStarted, type RunView, readRuns } from '@rlhf-streams/runs';
import { runRetention, type ServiceContext, type topicSettings } from '@rlhf-streams/service';
import { pause } from '@rlhf-streams/waiting';
import type { z } from 'zod';
import { trimTopics } from './trim.js';

/** Each run has a writer `coordinator/RUN`; no run can have this name. */
const WRITER = 'coordinator/.archive';
/** Milliseconds until a run that could not be archived is tried again. */
const RETRY_MS = 60_000;
/** Milliseconds between two searches for old records. */
const TRIM_INTERVAL_MS = 3_600_000;
/** Milliseconds to wait when fenced: a member that has lost the partition learns so meanwhile; any other tries again. */
const FENCED_PAUSE_MS = 10_000;

type Context = Pick<
  ServiceContext<z.output<typeof topicSettings>>,
  'settings' | 'log' | 'events' | 'artifacts' | 'temporary' | 'logger' | 'onStop'
>;

/** One replica archives: the one that owns the first partition of `runs`. */
export async function archiveRuns(context: Context, runs: Projection<RunView>): Promise<void> {
  const { log, events, logger, settings, onStop } = context;
  const retention = await runRetention(settings);
  const trim = async (signal: AbortSignal) => {
    try {
      const trimmed = await trimTopics({
        log,
        runs: runs.state.values(),
        retention,
        now: Date.now(),
        signal,
      });
      if (trimmed > 0) logger.info({ trimmed }, 'deleted old records of archived runs');
    } catch (err) {
      if (!signal.aborted) logger.warn({ err }, `old records could not be deleted yet: ${messageOf(err)}`);
    }
  };
  const ownership = await own(
    log,
    { group: 'archive', topic: 'runs' },
    async (partition, signal) => {
      if (partition !== 0) return;
      const writer = await events.transactional(WRITER);
      try {
        await archiveUntil(signal, context, runs, writer, () => trim(signal));
      } catch (err) {
        if (codeOf(err) === 'LOG_FENCED') await pause(FENCED_PAUSE_MS, signal);
        throw err;
      } finally {
        await writer.close();
      }
    },
    { onError: (err) => logger.error({ err }, `runs could not be archived: ${messageOf(err)}`) },
  );
  onStop(() => ownership.close(), 'archiving');
}

async function archiveUntil(
  signal: AbortSignal,
  context: Context,
  runs: Projection<RunView>,
  writer: TransactionalEvents,
  trim: () => Promise<void>,
): Promise<void> {
  /**
   * By end of a run, the time from which it may be archived: after a failure some time later, and never once it is archived,
   * which the projection may not show yet.
   */
  const notBefore = new Map<string, number>();
  // Earlier owners are fenced by now: nobody but this one adds to what is read here.
  const logged = await readRuns(context.events.readAll(['runs'], { signal }));
  for (const view of logged.values()) if (isArchived(view)) notBefore.set(endOf(view), Infinity);

  let trimAt = 0;
  while (!signal.aborted) {
    if (trimAt <= Date.now()) {
      await trim();
      trimAt = Date.now() + TRIM_INTERVAL_MS;
    }
    const waiting = [...notBefore.values()].filter((time) => time !== Infinity);
    const isDue = (view: RunView) => isToArchive(view) && (notBefore.get(endOf(view)) ?? 0) <= Date.now();
    const due = await nextRun(runs, isDue, Math.min(trimAt, ...waiting), signal);
    if (due === 'stopped') return;
    if (due) notBefore.set(endOf(due), await archive(context, due, writer, signal));
  }
}

/** The first run that is due, `undefined` at `time`, or `stopped` when the service goes down. */
async function nextRun(
  runs: Projection<RunView>,
  isDue: (view: RunView) => boolean,
  time: number,
  signal: AbortSignal,
): Promise<RunView | undefined | 'stopped'> {
  const timeoutMs = Math.max(1, time - Date.now());
  try {
    const select = (state: ReadonlyMap<string, RunView>) => [...state.values()].find(isDue);
    return await runs.waitFor(select, { what: 'a run to archive', timeoutMs, signal });
  } catch (error) {
    if (signal.aborted || codeOf(error) === 'RUNTIME_STOPPED') return 'stopped';
    if (codeOf(error) === 'RUNTIME_DEADLINE') return undefined;
    throw error;
  }
}

/** Archives one run. @returns the time from which it may be tried again: never when it is archived */
async function archive(
  { log, artifacts, temporary, logger }: Context,
  view: RunView,
  writer: TransactionalEvents,
  signal: AbortSignal,
): Promise<number> {
  const { run } = view;
  try {
    const data = await temporary.use((folder) =>
      writeArchive({ log, artifacts }, view, join(folder, 'archive'), signal),
    );
    await writer.publish([{ type: 'run.archived', id: `${run}/archived/${view.end!.offset}`, data }]);
    logger.info({ run, counts: data.counts, archive: data.archive.sha256 }, 'archived a run');
    return Infinity;
  } catch (err) {
    if (signal.aborted || codeOf(err) === 'LOG_FENCED') throw err;
    logger.warn({ err, run }, `run ${run} could not be archived yet: ${messageOf(err)}`);
    return Date.now() + RETRY_MS;
  }
}

/** A run that never started is not archived: all its events are on topic `runs`, which loses none. */
const isToArchive = (view: RunView): boolean =>
  hasEnded(view) && !neverStarted(view) && view.end !== undefined && !isArchived(view);

const endOf = ({ run, end }: RunView): string => `${run} ${end?.partition}/${end?.offset}`;
