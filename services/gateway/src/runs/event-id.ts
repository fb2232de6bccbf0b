/**
 * Ids of server-sent events: the positions from which the stream goes on, opaque to clients. Written as
 * `<check>[!]~<topic>.<offset>.<offset>...~<topic>...`: topics by their index below, offsets by partition in base 36,
 * `!` after the last event of a run. The check covers the run, so that an id of another run is refused.
 */
import { createHash } from 'node:crypto';
import type { EventLog, Positions } from '@rlhf-streams/log';
import { problem } from '@rlhf-streams/service';
import { streamTopics } from './stream-topics.js';

/** Where a stream stands. */
export interface StreamPosition {
  readonly positions: Positions;
  /** Whether the run's end has been sent: then no event follows. */
  readonly ended: boolean;
}

const FORMAT = /^([0-9a-f]{8})(!?(?:~[0-9a-z](?:\.[0-9a-z]{1,11})+)*)$/;
const MAX_LENGTH = 8000;

export function encodeEventId(run: string, { positions, ended }: StreamPosition): string {
  const parts = streamTopics.flatMap((topic, index) => {
    const offsets = positions[topic];
    return offsets?.length ? [`~${[index, ...offsets].map((number) => number.toString(36)).join('.')}`] : [];
  });
  const body = `${ended ? '!' : ''}${parts.join('')}`;
  return `${checkOf(run, body)}${body}`;
}

/** @throws a problem: 400 INVALID_EVENT_ID when this is no id of an event of `run`. */
export function decodeEventId(run: string, id: string): StreamPosition {
  const [, check, body] = (id.length <= MAX_LENGTH && FORMAT.exec(id)) || [];
  if (body === undefined || check !== checkOf(run, body)) throw invalid(run);
  const [mark, ...parts] = body.split('~');
  const positions = parts.map((part) => {
    const [index, ...offsets] = part.split('.').map((digits) => Number.parseInt(digits, 36));
    return [streamTopics[index!]!, offsets] as const;
  });
  return { positions: Object.fromEntries(positions), ended: mark === '!' };
}

/**
 * Checks that positions lie within the log.
 * @throws a problem: 400 INVALID_EVENT_ID when they lie beyond its end, as those of another log may.
 */
export async function checkPositions(log: EventLog, run: string, positions: Positions): Promise<void> {
  const { latest } = await log.positions(Object.keys(positions));
  for (const [topic, offsets] of Object.entries(positions)) {
    if (offsets.some((offset, partition) => !(offset <= (latest[topic]?.[partition] ?? -1))))
      throw invalid(run);
  }
}

const checkOf = (run: string, body: string): string =>
  createHash('sha256').update(`${run} ${body}`).digest('hex').slice(0, 8);

const invalid = (run: string) =>
  problem(
    400,
    'INVALID_EVENT_ID',
    'The Last-Event-ID is not valid',
    `expected the id of an event of run ${run}; leave the header out to read from the beginning`,
  );
