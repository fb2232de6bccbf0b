/** Archives a run: what the log has of it becomes an artifact. */
import { createWriteStream } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { ArtifactStore } from '@rlhf-streams/artifacts';
import { type ArchivedTopic, archivedTopics, type DataFor, runIn } from '@rlhf-streams/events';
import type { EventLog, Positions } from '@rlhf-streams/log';
import type { RunView } from '@rlhf-streams/runs';
import {
  archivedRecords,
  CONTENTS_FILE,
  type Contents,
  FORMAT,
  fileOf,
  lineOf,
  readContents,
} from './format.js';

/** Records at a time: parsing them must not hold up what else the process does. */
const BATCH_RECORDS = 100;

export interface WriteDependencies {
  readonly log: Pick<EventLog, 'positions' | 'read'>;
  readonly artifacts: Pick<ArtifactStore, 'fetch' | 'putDirectory'>;
}

/**
 * Writes the events of a run that has ended into `folder`, which is made, and stores them; the same events give the same
 * artifact. What an earlier archive of the run holds is taken from there, as the topics may have lost it.
 */
export async function writeArchive(
  { log, artifacts }: WriteDependencies,
  view: RunView,
  folder: string,
  signal: AbortSignal,
): Promise<DataFor<'run.archived'>> {
  const { run, archive: earlier } = view;
  await mkdir(folder);
  const before = earlier && (await artifacts.fetch(earlier.artifact, { signal }));
  const inEarlier = before ? await readContents(before) : undefined;
  const from = startOf(view);
  const { latest } = await log.positions(archivedTopics);
  const until: Record<string, number[]> = {};
  const counts: Record<string, number> = {};

  /** The lines of a topic, and in `until` and `counts` how far it was read and how many there are. */
  async function* lines(topic: ArchivedTopic): AsyncGenerator<string, void> {
    const ends = [...latest[topic]!];
    until[topic] = ends;
    counts[topic] = 0;
    if (before && (inEarlier?.counts[topic] ?? 0) > 0) {
      for await (const record of archivedRecords(before, topic)) {
        counts[topic]++;
        yield lineOf(record);
      }
    }
    const read = { topics: [topic], from, follow: false, signal, maxBatchRecords: BATCH_RECORDS };
    for await (const { partition, records } of log.read(read)) {
      ends[partition] = Math.max(ends[partition] ?? 0, records.at(-1)!.offset + 1);
      const own = records.filter(({ value }) => runIn(Buffer.from(value).toString()) === run);
      counts[topic] += own.length;
      if (own.length > 0) yield own.map(lineOf).join('');
    }
    signal.throwIfAborted();
  }

  for (const topic of archivedTopics) {
    const file = fileOf(folder, topic);
    await pipeline(Readable.from(lines(topic)), createGzip(), createWriteStream(file), { signal });
    if (counts[topic] === 0) await rm(file);
  }
  const contents: Contents = { format: FORMAT, run, counts };
  await writeFile(join(folder, CONTENTS_FILE), JSON.stringify(contents));
  return { run, archive: await artifacts.putDirectory(folder, { signal }), until, counts };
}

/** Where the events begin that no archive of the run holds yet. */
export function startOf({ partition, requestOffset, from, archive }: RunView): Positions {
  if (archive) return archive.until;
  return {
    ...from,
    runs: Array.from({ length: partition + 1 }, (_, at) => (at === partition ? requestOffset : 0)),
  };
}
