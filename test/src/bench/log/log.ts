import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kafkaLog } from '@rlhf-streams/kafka';
import { type EventLog, embeddedLog, memoryLog } from '@rlhf-streams/log';
import type { Measurement, Row } from '../measurement.js';
import { inTemporaryFolder } from '../temporary-folder.js';
import { median, quantile } from '../timing.js';
import { KB, latencies, publishing, type Rates, type RecordSize, reading, sizes } from './workloads.js';

const ROUNDS = 3;

type LogName = 'embedded' | 'memory' | 'kafka';
type Opening = (directory: string) => Promise<EventLog>;

const local: Partial<Record<LogName, Opening>> = {
  embedded: (directory) => embeddedLog({ directory }),
  memory: async () => memoryLog(),
};

/** On Kafka a prefix takes the place of a folder of its own. */
const onKafka =
  (brokers: string): Opening =>
  () =>
    kafkaLog({ brokers: brokers.split(','), prefix: `bench-${randomUUID()}.` });

export const log: Measurement = {
  name: 'log',
  about: 'records a second, and milliseconds from publish to handler',
  run: ({ brokers }) =>
    inTemporaryFolder(async (folder) => {
      const cluster = await brokers();
      const logs: Partial<Record<LogName, Opening>> = {
        ...local,
        ...(cluster && { kafka: onKafka(cluster) }),
      };
      const kinds = Object.keys(logs) as LogName[];
      const measured = new Map<string, Measured[]>();
      for (let round = 0; round < ROUNDS; round++) {
        for (const size of sizes) {
          for (const kind of kinds) {
            const key = `${kind} ${size.bytes}`;
            const opened = await logs[kind]!(join(folder, `${key} ${round}`));
            const results = await measure(opened, size).finally(() => opened.close());
            measured.set(key, [...(measured.get(key) ?? []), results]);
          }
        }
      }
      const rows = sizes.flatMap((size) =>
        kinds.map((kind) => asRow(kind, size, measured.get(`${kind} ${size.bytes}`)!)),
      );
      return {
        rows,
        notes: [
          `One topic of six partitions in ${tmpdir()}; medians of ${ROUNDS} new logs, latency over all their records.`,
          'one by one: each publish awaited before the next; 64 at once: as many publishes of one record under way; latency: an idle log.',
          ...(cluster
            ? [
                `Kafka at ${cluster}, one partition leader for all; its durability is its replicas, not a sync.`,
              ]
            : []),
        ],
      };
    }),
};

interface Measured extends Rates {
  readonly latency: readonly number[];
}

async function measure(opened: EventLog, size: RecordSize): Promise<Measured> {
  const rates = await publishing(opened, size);
  return { ...rates, read: await reading(opened), latency: await latencies(opened, size) };
}

function asRow(kind: LogName, { bytes }: RecordSize, measured: readonly Measured[]): Row {
  const rate = (of: keyof Rates) => Math.round(median(measured.map((results) => results[of])));
  const latency = measured.flatMap((results) => results.latency);
  return {
    log: kind,
    record: `${bytes / KB} KB`,
    'one by one/s': rate('single'),
    '64 at once/s': rate('concurrent'),
    'by 500/s': rate('batched'),
    'read/s': rate('read'),
    'latency p50 ms': quantile(latency, 0.5),
    'p99 ms': quantile(latency, 0.99),
  };
}
