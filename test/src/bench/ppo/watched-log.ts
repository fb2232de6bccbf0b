/** Watches a log from inside the process that uses it: what was written when, and when readers had it. */

import { type EventType, topics } from '@rlhf-streams/events';
import type { EventLog, NewRecord } from '@rlhf-streams/log';

/** A publish or a transaction. Times are of `performance.now()`. */
export interface Write {
  /** When it was asked for. */
  readonly asked: number;
  /** When the log said that it was durable. */
  readonly durable: number;
  readonly events: readonly WrittenEvent[];
}

export interface WrittenEvent {
  readonly type: EventType;
  readonly id: string;
  readonly data: { readonly run?: string; readonly step?: number };
}

export interface Watch {
  /** What was written so far. */
  writes(): Write[];
  /** When a reader that follows the log had an event. */
  arrival(event: Pick<WrittenEvent, 'type' | 'id'>): number | undefined;
  close(): Promise<void>;
}

/**
 * Wraps the writing methods of `log` in place, as those who write hold this very object, and follows it with a reader
 * of its own. Nothing is decoded while it runs: the watch takes microseconds a record.
 */
export function watch(log: EventLog): Watch {
  const written: { asked: number; durable: number; records: readonly NewRecord[] }[] = [];
  const arrivals = new Map<string, number>();
  const timed = async (records: readonly NewRecord[], write: () => Promise<void>) => {
    const asked = performance.now();
    await write();
    written.push({ asked, durable: performance.now(), records });
  };

  const publish = log.publish.bind(log);
  const transactional = log.transactional.bind(log);
  log.publish = (records) => timed(records, () => publish(records));
  log.transactional = async (id) => {
    const producer = await transactional(id);
    return { ...producer, transact: (work) => timed(work.records, () => producer.transact(work)) };
  };

  const closing = new AbortController();
  const following = (async () => {
    for await (const { records } of log.read({
      topics: Object.keys(topics),
      follow: true,
      signal: closing.signal,
    })) {
      const now = performance.now();
      for (const { headers } of records) arrivals.set(`${headers.ce_type} ${headers.ce_id}`, now);
    }
  })();

  return {
    writes: () => written.map(({ records, ...times }) => ({ ...times, events: records.map(decoded) })),
    arrival: ({ type, id }) => arrivals.get(`${type} ${id}`),
    async close() {
      closing.abort();
      await following;
      log.publish = publish;
      log.transactional = transactional;
    },
  };
}

const decoded = ({ value, headers }: NewRecord): WrittenEvent => ({
  type: headers!.ce_type as EventType,
  id: headers!.ce_id!,
  data: JSON.parse(Buffer.from(value as Uint8Array).toString()),
});
