/** What is done to a log, through its port alone. */
import type { EventLog, NewRecord } from '@rlhf-streams/log';
import { timed } from '../timing.js';

export const KB = 1024;

/** Records of one size, and how many make a measurement of a second or less. */
export interface RecordSize {
  readonly bytes: number;
  readonly single: number;
  readonly concurrent: number;
  readonly batches: number;
  readonly deliveries: number;
}

export const sizes: readonly RecordSize[] = [
  { bytes: KB, single: 200, concurrent: 2048, batches: 10, deliveries: 200 },
  { bytes: 64 * KB, single: 100, concurrent: 256, batches: 1, deliveries: 100 },
];

/** Records a second. */
export interface Rates {
  readonly single: number;
  readonly concurrent: number;
  readonly batched: number;
  readonly read: number;
}

const BATCH = 500;
const UNDER_WAY = 64;
const TOPIC = 'records';
const LATENCY_TOPIC = 'latency';
const PARTITIONS = 6;

export async function publishing(log: EventLog, size: RecordSize): Promise<Omit<Rates, 'read'>> {
  await log.ensureTopics([{ name: TOPIC, partitions: PARTITIONS, cleanup: 'delete' }]);
  const record = recordsOf(TOPIC, size.bytes);
  let next = 0;
  const one = () => log.publish([record(next++)]);
  const rate = async (records: number, work: () => Promise<unknown>) =>
    (records * 1000) / (await timed(work));

  await one();
  const single = await rate(size.single, async () => {
    for (let i = 0; i < size.single; i++) await one();
  });
  const concurrent = await rate(size.concurrent, () =>
    Promise.all(
      Array.from({ length: UNDER_WAY }, async () => {
        for (let i = 0; i < size.concurrent / UNDER_WAY; i++) await one();
      }),
    ),
  );
  const batched = await rate(size.batches * BATCH, async () => {
    for (let i = 0; i < size.batches; i++)
      await log.publish(Array.from({ length: BATCH }, () => record(next++)));
  });
  return { single, concurrent, batched };
}

/** Records a second, from the topic's beginning to its end. */
export async function reading(log: EventLog): Promise<number> {
  let records = 0;
  const milliseconds = await timed(async () => {
    for await (const batch of log.read({ topics: [TOPIC], follow: false })) records += batch.records.length;
  });
  return (records * 1000) / milliseconds;
}

/** Milliseconds from the call of publish to the handler of a group, one record at a time. */
export async function latencies(log: EventLog, { bytes, deliveries }: RecordSize): Promise<number[]> {
  await log.ensureTopics([{ name: LATENCY_TOPIC, partitions: PARTITIONS, cleanup: 'delete' }]);
  let delivered = () => {};
  const subscription = await log.subscribe({
    group: 'bench',
    topics: [LATENCY_TOPIC],
    onBatch: async () => delivered(),
  });
  const record = recordsOf(LATENCY_TOPIC, bytes);
  const times: number[] = [];
  for (let i = 0; i < deliveries; i++) {
    const arrival = new Promise<void>((resolve) => {
      delivered = resolve;
    });
    const begun = performance.now();
    const published = log.publish([record(i)]);
    await arrival;
    times.push(performance.now() - begun);
    await published;
  }
  await subscription.close();
  return times;
}

/** Values that no compression would make smaller, under changing keys. */
function recordsOf(topic: string, bytes: number): (index: number) => NewRecord {
  const value = Uint8Array.from({ length: bytes }, (_, i) => Math.imul(i + 1, 2654435761) >>> 24);
  return (index) => ({ topic, key: `record ${index}`, value });
}
