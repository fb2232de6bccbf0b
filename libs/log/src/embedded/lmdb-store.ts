import { mkdir, realpath } from 'node:fs/promises';
import { isRunning, type Owner, thisProcess } from '@rlhf-streams/files';
import type { Database, RootDatabase } from 'lmdb';
import { partitionKey } from '../core/partition-key.js';
import { LogError } from '../errors.js';
import { type Bounds, fenced, type RecordStore } from '../local/store.js';
import { ensured } from '../local/topics.js';
import type { LogRecord, TopicPartition } from '../port.js';
import { createCleanup } from './cleanup.js';
import { decodeRecord, encodeRecord } from './codec.js';
import { checkDataFile, corrupt } from './data-file.js';
import { openEnvironment } from './environment.js';
import { createGroupCommit } from './group-commit.js';
import { notWritable, reserveLockFile } from './lock-file.js';
import { openTables } from './tables.js';

const FORMAT = { name: 'rlhf-streams-log', version: 1 };

/**
 * Opens, or creates, the log in a folder and takes it for this process.
 * @throws LogError LOG_LOCKED, LOG_CORRUPT, LOG_TOO_NEW, LOG_WRITE_FAILED.
 */
export async function openLmdbStore(folder: string, now: () => number): Promise<RecordStore> {
  await mkdir(folder, { recursive: true }).catch((error: unknown) => {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (['EEXIST', 'ENOTDIR'].includes(code)) throw corrupt(folder, 'it cannot be created', error);
    throw notWritable(folder, error);
  });
  const directory = await realpath(folder);
  await checkDataFile(directory);
  await reserveLockFile(directory);
  const root = openRoot(directory);
  try {
    const meta = openMeta(root, directory);
    try {
      takeOwnership(root, meta, directory);
    } catch (error) {
      throw error instanceof LogError ? error : notWritable(directory, error);
    }
    try {
      return await openStore(root, meta, directory, now);
    } catch (error) {
      meta.removeSync('owner');
      throw error;
    }
  } catch (error) {
    await root.close();
    throw error;
  }
}

function openRoot(directory: string): RootDatabase {
  try {
    return openEnvironment(directory);
  } catch (error) {
    throw corrupt(directory, 'LMDB cannot open it', error);
  }
}

type Meta = Database<unknown, string>;

function openMeta(root: RootDatabase, directory: string): Meta {
  const names = [...root.getKeys()];
  if (names.length > 0 && !names.includes('meta'))
    throw corrupt(directory, "it is another program's LMDB database");
  return root.openDB({ name: 'meta', encoding: 'json' });
}

/** The first process to write its name has the log: LMDB runs one write transaction at a time, over all processes. */
function takeOwnership(root: RootDatabase, meta: Meta, directory: string): void {
  root.transactionSync(() => {
    const format = meta.get('format') as typeof FORMAT | undefined;
    if (format?.name === FORMAT.name && format.version > FORMAT.version)
      throw new LogError(
        'LOG_TOO_NEW',
        `expected the log in ${directory} to be of format ${FORMAT.version}, got format ${format.version}, which a newer build wrote: upgrade this one`,
      );
    if (format && (format.name !== FORMAT.name || format.version !== FORMAT.version))
      throw corrupt(directory, `its format is ${JSON.stringify(format)}, not ${JSON.stringify(FORMAT)}`);
    const owner = meta.get('owner') as Owner | undefined;
    if (owner && isRunning(owner))
      throw new LogError(
        'LOG_LOCKED',
        `The log in ${directory} is open in process ${owner.pid}: close it there, or name another folder.`,
      );
    meta.put('format', FORMAT);
    meta.put('owner', thisProcess());
  });
}

async function openStore(
  root: RootDatabase,
  meta: Meta,
  directory: string,
  now: () => number,
): Promise<RecordStore> {
  const tables = openTables(root);
  const { records, bounds, commits, producers } = tables;
  const topics = new Map([...tables.topics.getRange()].map(({ key, value }) => [key, value]));
  const writer = createGroupCommit(root, directory);
  const { cleanUp, trim } = createCleanup(tables, writer, now);

  const boundsOf = ({ topic, partition }: TopicPartition): Bounds =>
    bounds.get([topic, partition]) ?? { earliest: 0, latest: 0 };

  function checkEnds(): void {
    for (const { name, partitions } of topics.values())
      for (let partition = 0; partition < partitions; partition++) {
        const { earliest, latest } = boundsOf({ topic: name, partition });
        const [last] = records.getKeys({
          start: [name, partition, Number.MAX_SAFE_INTEGER],
          end: [name, partition, -1],
          reverse: true,
          limit: 1,
        });
        if (earliest < latest && last?.[2] !== latest - 1)
          throw corrupt(
            directory,
            `partition ${partition} of ${name} should end at ${latest}, not at ${last?.[2]}`,
          );
      }
  }

  // Opening a log cleans nothing up: a process may only read it, or be about to let its topics keep more.
  checkEnds();

  return {
    topic: (name) => topics.get(name),

    async ensureTopics(specs, options) {
      const written = await writer.submit(
        () =>
          specs.map((wanted) => {
            const spec = ensured(tables.topics.get(wanted.name), wanted, options);
            tables.topics.put(spec.name, spec);
            return spec;
          }),
        0,
      );
      for (const spec of written) {
        topics.set(spec.name, spec);
        await cleanUp(spec);
      }
    },

    async append({ records: placed, commits: offsets, producer }) {
      const timestamp = now();
      const encoded = placed.map((record) => encodeRecord({ ...record, timestamp }));
      const bytes = encoded.reduce((sum, { length }) => sum + length, 0);
      await writer.submit(() => {
        if (producer && producers.get(producer.id) !== producer.epoch) throw fenced(producer.id);
        const touched = new Map<string, { at: TopicPartition; earliest: number; latest: number }>();
        placed.forEach((at, index) => {
          const key = partitionKey(at);
          const end = touched.get(key) ?? { at, ...boundsOf(at) };
          touched.set(key, end);
          records.put([at.topic, at.partition, end.latest++], encoded[index]!);
        });
        for (const { at, earliest, latest } of touched.values())
          bounds.put([at.topic, at.partition], { earliest, latest });
        for (const { group, topic, partition, offset } of offsets)
          commits.put([group, topic, partition], offset);
      }, bytes);
    },

    read(at, from, maxRecords, maxBytes) {
      const { topic, partition } = at;
      const batch: LogRecord[] = [];
      const { latest } = boundsOf(at);
      // Most reads of a partition find nothing: a reader tries all its partitions when any has a record.
      if (from >= latest) return batch;
      let bytes = 0;
      const range = { start: [topic, partition, from], end: [topic, partition, latest] };
      for (const { key, value } of records.getRange({ ...range, limit: maxRecords })) {
        bytes += value.length;
        if (batch.length > 0 && bytes > maxBytes) break;
        batch.push({ topic, partition, offset: key[2], ...decodeRecord(value) });
      }
      return batch;
    },

    trim,

    bounds: boundsOf,
    committed: (group, { topic, partition }) => commits.get([group, topic, partition]),

    openProducer(id) {
      return writer.submit(() => {
        const epoch = (producers.get(id) ?? -1) + 1;
        producers.put(id, epoch);
        return epoch;
      }, 0);
    },

    async close() {
      await writer.idle();
      try {
        meta.removeSync('owner');
      } finally {
        await root.close();
      }
    },
  };
}
