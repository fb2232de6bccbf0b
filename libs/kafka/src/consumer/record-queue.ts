import type { LogRecord } from '@rlhf-streams/log';

/** Records in offset order, taken from the front. */
export interface RecordQueue {
  readonly length: number;
  /** The size of their values. */
  readonly bytes: number;
  readonly first: LogRecord | undefined;
  push(records: readonly LogRecord[]): void;
  take(max: number): readonly LogRecord[];
  clear(): void;
}

/** Taken records leave memory once they are as many as those left, so that not every `take` copies the rest. */
export function createRecordQueue(): RecordQueue {
  let records: LogRecord[] = [];
  let taken = 0;
  let bytes = 0;
  return {
    get length() {
      return records.length - taken;
    },
    get bytes() {
      return bytes;
    },
    get first() {
      return records[taken];
    },
    push(more) {
      // A fetch may bring more records than a call takes arguments.
      for (const record of more) {
        records.push(record);
        bytes += record.value.length;
      }
    },
    take(max) {
      const front = records.slice(taken, taken + max);
      taken += front.length;
      for (const { value } of front) bytes -= value.length;
      if (taken * 2 >= records.length) {
        records = records.slice(taken);
        taken = 0;
      }
      return front;
    },
    clear() {
      records = [];
      taken = 0;
      bytes = 0;
    },
  };
}
