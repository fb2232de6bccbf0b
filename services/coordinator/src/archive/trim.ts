/** Deletes records that are older than their topic keeps them, up to the first that a run may need which is not archived. */
import { startOf } from '@rlhf-streams/archive';
import type { ArchivedTopic } from '@rlhf-streams/events';
import type { EventLog, Positions } from '@rlhf-streams/log';
import { isArchived, type RunView } from '@rlhf-streams/runs';

/** Milliseconds for which a run's records stay once it is archived, so that readers who began with the log end with it. */
const GRACE_MS = 3_600_000;
/** Records read at a time, in search of the first that is not old. */
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

/** @returns the number of offsets deleted, over all topics */
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

/** Whether events of the run may still be read from the log. A run that has not started begins behind what is there now. */
const isNeeded = (view: RunView, now: number): boolean =>
  view.models !== undefined && !(isArchived(view) && view.archive!.time + GRACE_MS <= now);

/** Of a run just archived all events may still be read; an extended run that goes on needs those after its last archive. */
const neededFrom = (view: RunView): Positions => (isArchived(view) ? view.from : startOf(view));
