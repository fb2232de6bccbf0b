import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readAll, textOf } from '../conformance/harness.js';
import { partitionOf } from '../core/murmur2.js';
import type { LogRecord } from '../port.js';
import { embeddedLog } from './index.js';

const ROUNDS = 8;
const MOST_ACKNOWLEDGMENTS = 300;
/** Records of one transaction in topic `parts`. */
const PARTS = 6;
const TOPICS = ['singles', 'parts', 'transactions'];
const writer = fileURLToPath(new URL('./writer.test.child.js', import.meta.url));
const seed = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000);

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'log-'));
});
afterEach(() => rm(directory, { recursive: true }));

/** Runs the writer until it wrote `lines` lines, kills it, and returns all it wrote until it died. */
async function writeUntilKilled(round: number, lines: number): Promise<string[]> {
  const child = spawn(process.execPath, [writer, directory, `${round}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit') as Promise<[number | null, string | null]>;
  let written = '';
  for await (const chunk of child.stdout) {
    written += chunk;
    if (written.split('\n').length > lines) child.kill('SIGKILL');
  }
  expect(await exited).toEqual([null, 'SIGKILL']);
  return written.split('\n').slice(0, -1);
}

const missing = (wanted: readonly string[], present: readonly string[]) => {
  const all = new Set(present);
  return wanted.filter((id) => !all.has(id));
};

const contentOf = (records: readonly LogRecord[]) =>
  JSON.stringify(records.map((record) => [record.offset, record.key, record.timestamp, textOf(record)]));

describe('a log whose process is killed', () => {
  it(`has all that was acknowledged, and no part of a transaction (CRASH_SEED=${seed})`, async () => {
    const acknowledged: string[] = [];
    let before: LogRecord[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const lines = 1 + partitionOf(`${seed} ${round}`, MOST_ACKNOWLEDGMENTS);
      acknowledged.push(...(await writeUntilKilled(round, lines)));

      const log = await embeddedLog({ directory });
      const records = await readAll(log, TOPICS);
      const { earliest, latest } = await log.positions(TOPICS);
      for (const topic of TOPICS)
        for (const [partition, end] of latest[topic]!.entries()) {
          expect(earliest[topic]![partition]).toBe(0);
          const here = (all: readonly LogRecord[]) =>
            all.filter((record) => record.topic === topic && record.partition === partition);
          expect(here(records)).toHaveLength(end);
          expect(here(records).findIndex(({ offset }, index) => offset !== index)).toBe(-1);
          const earlier = here(before);
          expect(contentOf(here(records).slice(0, earlier.length)) === contentOf(earlier)).toBe(true);
        }

      const idsOf = (topic: string) =>
        records.filter((record) => record.topic === topic).map((record) => textOf(record).split(' ')[0]!);
      const acknowledgedOf = (kind: string) =>
        acknowledged.filter((line) => line.startsWith(kind)).map((line) => line.split(' ')[1]!);
      const [singles, transactions, parts] = [idsOf('singles'), idsOf('transactions'), idsOf('parts')];
      expect(new Set(singles).size).toBe(singles.length);
      expect(missing(acknowledgedOf('single'), singles)).toEqual([]);
      expect(missing(acknowledgedOf('transaction'), transactions)).toEqual([]);
      expect(parts.toSorted()).toEqual(transactions.flatMap((id) => Array(PARTS).fill(id)).toSorted());
      expect(await log.lag('writer', ['transactions'])).toEqual({ transactions: [0] });
      await log.close();
      before = records;
    }
    expect(before.length).toBeGreaterThan(ROUNDS);
  });
});
