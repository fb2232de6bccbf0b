import { partitionKey } from '../core/partition-key.js';
import { fenced, type RecordStore } from '../local/store.js';
import { ensured } from '../local/topics.js';
import type { LogRecord, TopicSpec } from '../port.js';

interface Partition {
  /** In offset order, with gaps where compaction removed records. */
  records: LogRecord[];
  earliest: number;
  latest: number;
}

const copyOf = (record: LogRecord): LogRecord => ({ ...record, value: Uint8Array.from(record.value) });

/** A store in the memory of this process. */
export function memoryStore(now: () => number): RecordStore {
  const topics = new Map<string, TopicSpec>();
  const partitions = new Map<string, Partition>();
  const committed = new Map<string, number>();
  const epochs = new Map<string, number>();
  const commitKey = (group: string, at: { topic: string; partition: number }) =>
    `${partitionKey(at)}/${group}`;

  function cleanUp({
    name: topic,
    partitions: count,
    cleanup,
    retentionMs = Number.POSITIVE_INFINITY,
  }: TopicSpec) {
    for (let index = 0; index < count; index++) {
      const partition = partitions.get(partitionKey({ topic, partition: index }))!;
      if (cleanup === 'compact') {
        const last = new Map(partition.records.map(({ key, offset }) => [key, offset]));
        partition.records = partition.records.filter(({ key, offset }) => last.get(key) === offset);
      } else {
        const kept = partition.records.findIndex(({ timestamp }) => timestamp >= now() - retentionMs);
        partition.records = kept < 0 ? [] : partition.records.slice(kept);
        partition.earliest = partition.records[0]?.offset ?? partition.latest;
      }
    }
  }

  return {
    topic: (name) => topics.get(name),

    async ensureTopics(specs, options) {
      for (const wanted of specs) {
        const spec = ensured(topics.get(wanted.name), wanted, options);
        topics.set(spec.name, spec);
        for (let partition = 0; partition < spec.partitions; partition++) {
          const key = partitionKey({ topic: spec.name, partition });
          if (!partitions.has(key)) partitions.set(key, { records: [], earliest: 0, latest: 0 });
        }
        cleanUp(spec);
      }
    },

    async append({ records, commits, producer }) {
      if (producer && epochs.get(producer.id) !== producer.epoch) throw fenced(producer.id);
      const timestamp = now();
      for (const record of records) {
        const partition = partitions.get(partitionKey(record))!;
        partition.records.push({ ...record, offset: partition.latest++, timestamp });
      }
      for (const commit of commits) committed.set(commitKey(commit.group, commit), commit.offset);
    },

    read(at, from, maxRecords, maxBytes) {
      const { records } = partitions.get(partitionKey(at))!;
      const batch: LogRecord[] = [];
      for (
        let i = firstAtLeast(records, from), bytes = 0;
        i < records.length && batch.length < maxRecords;
        i++
      ) {
        bytes += records[i]!.value.length;
        if (batch.length > 0 && bytes > maxBytes) break;
        batch.push(copyOf(records[i]!));
      }
      return batch;
    },

    async trim(at, offset) {
      const partition = partitions.get(partitionKey(at))!;
      partition.records = partition.records.slice(firstAtLeast(partition.records, offset));
      partition.earliest = Math.max(partition.earliest, offset);
    },

    bounds: (at) => partitions.get(partitionKey(at))!,
    committed: (group, at) => committed.get(commitKey(group, at)),

    async openProducer(id) {
      const epoch = (epochs.get(id) ?? -1) + 1;
      epochs.set(id, epoch);
      return epoch;
    },

    async close() {},
  };
}

/** Index of the first record at `offset` or past it. */
function firstAtLeast(records: readonly LogRecord[], offset: number): number {
  let [low, high] = [0, records.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (records[middle]!.offset < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
