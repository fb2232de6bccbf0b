/**
 * Run as a process by crash.test.ts, which kills it: publishes records and transactions without end, several at a
 * time, and writes a line for each once it is acknowledged.
 */
import { writeSync } from 'node:fs';
import { embeddedLog } from './index.js';

const [directory, round] = process.argv.slice(2) as [string, string];
const acknowledge = (line: string) => writeSync(1, `${line}\n`);
const log = await embeddedLog({ directory });
await log.ensureTopics([
  { name: 'singles', partitions: 3, cleanup: 'delete' },
  { name: 'parts', partitions: 2, cleanup: 'delete' },
  { name: 'transactions', partitions: 1, cleanup: 'delete' },
]);
const [committed] = (await log.positions(['transactions'])).latest.transactions as [number];
const producer = await log.transactional('writer');
acknowledge('open');

async function publishSingles(worker: number): Promise<void> {
  for (let i = 0; ; i++) {
    const id = `${round}.${worker}.${i}`;
    await log.publish([{ topic: 'singles', key: id, value: `${id} ${'x'.repeat((i % 50) * 100)}` }]);
    acknowledge(`single ${id}`);
  }
}

async function transact(): Promise<void> {
  for (let i = 0; ; i++) {
    const id = `${round}.${i}`;
    await producer.transact({
      records: [
        ...Array.from({ length: 6 }, (_, part) => ({ topic: 'parts', key: `${part}`, value: id })),
        { topic: 'transactions', key: id, value: id },
      ],
      commits: [{ group: 'writer', topic: 'transactions', partition: 0, offset: committed + i + 1 }],
    });
    acknowledge(`transaction ${id}`);
  }
}

await Promise.all([...[0, 1, 2].map(publishSingles), transact()]);
