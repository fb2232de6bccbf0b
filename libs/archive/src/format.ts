/**
 * An archive is a folder: `archive.json`, and for every topic on which the run has records `TOPIC.jsonl.gz`, a line of
 * JSON a record, in the order of their partitions. A record is kept as the log had it, and not as this build reads it: fields
 * that only a later build knows are in the archive too.
 */
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import type { ArchivedTopic } from '@rlhf-streams/events';
import type { LogRecord } from '@rlhf-streams/log';
import { z } from 'zod';
import { ArchiveError } from './errors.js';

export const CONTENTS_FILE = 'archive.json';
export const FORMAT = 1;

const Contents = z.object({
  format: z.int().min(1),
  run: z.string(),
  counts: z.record(z.string(), z.int().min(0)),
});
export type Contents = z.output<typeof Contents>;

/** @throws ArchiveError RUN_ARCHIVE_TOO_NEW. */
export async function readContents(directory: string): Promise<Contents> {
  const json: unknown = JSON.parse(await readFile(join(directory, CONTENTS_FILE), 'utf8'));
  const { format } = z.object({ format: z.int().min(1) }).parse(json);
  if (format <= FORMAT) return Contents.parse(json);
  throw new ArchiveError(
    'RUN_ARCHIVE_TOO_NEW',
    `expected the archive of a run in format ${FORMAT} at most, got format ${format}, which a newer build wrote: upgrade this one`,
  );
}

export const fileOf = (directory: string, topic: ArchivedTopic): string =>
  join(directory, `${topic}.jsonl.gz`);

/** A record as a line. The value is text, as that of every event is. */
export const lineOf = ({ partition, offset, timestamp, key, headers, value }: LogRecord): string =>
  `${JSON.stringify({ partition, offset, timestamp, key, headers, value: Buffer.from(value).toString() })}\n`;

/** The records of a topic, in the order in which they were archived, which within a partition is that of the log. */
export async function* archivedRecords<Topic extends ArchivedTopic>(
  directory: string,
  topic: Topic,
): AsyncGenerator<LogRecord & { readonly topic: Topic }, void> {
  for await (const line of linesOf(fileOf(directory, topic))) {
    const { value, ...rest } = JSON.parse(line) as Omit<LogRecord, 'topic' | 'value'> & { value: string };
    yield { topic, ...rest, value: Buffer.from(value) };
  }
}

async function* linesOf(path: string): AsyncGenerator<string, void> {
  const text = createGunzip();
  // What fails on the way is thrown by the iteration below; a reader who leaves it early fails nothing.
  pipeline(createReadStream(path), text).catch(() => {});
  text.setEncoding('utf8');
  let rest = '';
  for await (const chunk of text) {
    const lines = `${rest}${chunk}`.split('\n');
    rest = lines.pop()!;
    yield* lines;
  }
}
