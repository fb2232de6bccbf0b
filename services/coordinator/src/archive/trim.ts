/** Deletes from the topics of runs what is older than they keep it, as far as no run needs it that is not archived. */
import { startOf } from '@rlhf-streams/archive';
import type { ArchivedTopic } from '@rlhf-streams/events';
import type { EventLog, Positions } from '@rlhf-streams/log';
import { isArchived, type RunView } from '@rlhf-streams/runs';

/** Milliseconds for which a run's records stay when its archive is there: who began to read the log may end that. */
const GRACE_MS = 3_600_000;
/** Records looked at to find the first that is not old. */
const BATCH_RECORDS = 100;

export interface TrimOptions {
  readonly log: Pick<EventLog, 'positions' | 'read' | 'trim'>;
  readonly runs: Iterable<RunView>;
  /** Milliseconds for which topics keep records; others keep theirs for ever. */
  readonly retention: ReadonlyMap<ArchivedTopic, number>;
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly signal: AbortSignal;
}

/** Deletes topic by topic, and returns how many offsets it freed. */
export async function trimTopics({ log, runs, retention, now, signal }: TrimOptions): Promise<number> {
  const needed = [...runs].filter((view) => isNeeded(view, now)).map(neededFrom);
  let trimmed = 0;
  for (const [topic, keptMs] of retention) {
    const { earliest, latest } = await log.positions([topic]);
    const before: number[] = [];
    for (const [partition, first] of earliest[topic]!.entries()) {
      // A run whose start in a partition is not known may need all of it.
      const lowest = Math.min(
        ...needed.map((from) => from[topic]?.[partition] ?? 0),
        latest[topic]![partition]!,
      );
      const end = lowest > first ? await firstSince(now - keptMs, topic, partition, first, lowest) : first;
      before.push(end);
      trimmed += end - first;
    }
    if (before.some((end, partition) => end > earliest[topic]![partition]!))
      await log.trim({ [topic]: before });
  }
  return trimmed;

  /** The offset of the first record accepted at `time` or later, at most `end`. */
  async function firstSince(time: number, topic: string, partition: number, first: number, end: number) {
    const from = {
      [topic]: Array.from({ length: partition + 1 }, (_, at) => (at === partition ? first : 0)),
    };
    const options = { topics: [topic], partitions: [partition], from, follow: false, signal };
    for await (const { records } of log.read({ ...options, maxBatchRecords: BATCH_RECORDS })) {
      const found = records.find(({ offset, timestamp }) => offset >= end || timestamp >= time);
      if (found) return Math.min(found.offset, end);
    }
    signal.throwIfAborted();
    return end;
  }
}

/** Whether events of the run may be read from the log. A run that has not started needs none that are there now. */
const isNeeded = (view: RunView, now: number): boolean =>
  view.artifacts !== undefined && !(isArchived(view) && view.archive!.time + GRACE_MS <= now);

/** A run that goes on needs what the archive of its last end lacks; of one just archived, all may still be read. */
const neededFrom = (view: RunView): Positions => (isArchived(view) ? view.from : startOf(view));
