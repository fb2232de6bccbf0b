import { resolve } from 'node:path';
import { memoryLog, type TopicChange } from '@rlhf-streams/log';
import { topicSpecsFor } from '@rlhf-streams/service';
import { openLogSoon } from '../open-log.js';
import { table } from '../table.js';
import { hasLog, isShared, type Where } from '../where.js';

export interface TopicsOptions extends Pick<Where, 'directory' | 'brokers'> {
  /** YAML file of how topics are kept; default RLHF_TOPICS_FILE, and without it the environment and the registry. */
  readonly file?: string;
  /** Makes the topics so; otherwise only tells what would be done. */
  readonly apply: boolean;
}

/** Shows how the log's topics differ from what is wanted. Returns whether they are, in the end, as wanted. */
export async function topics({ directory, brokers, file, apply }: TopicsOptions): Promise<boolean> {
  const environment = {
    ...process.env,
    RLHF_DATA_DIR: directory,
    ...(brokers && { KAFKA_BROKERS: brokers }),
    ...(file && { RLHF_TOPICS_FILE: file }),
  };
  const wanted = await topicSpecsFor(environment);
  const missing =
    !apply && !isShared({ directory, ...(brokers && { brokers }) }) && !(await hasLog(directory));
  if (missing) console.log(`There is no log in ${resolve(directory)}; topics apply makes one:\n`);
  // Who only asks for the plan of a new log leaves none behind.
  const log = missing ? memoryLog() : await openLogSoon(environment);
  try {
    const changes = await log.planTopics(wanted);
    const possible = changes.filter(({ applies }) => applies);
    const staying = changes.length - possible.length;
    if (changes.length > 0) console.log(`${topicTable(changes)}\n`);
    if (apply && possible.length > 0) await log.ensureTopics(wanted, { settings: true });
    console.log(
      [
        `${wanted.length} topics`,
        ...(changes.length === 0 ? ['all as wanted'] : []),
        ...(possible.length > 0 ? [`${changesOf(possible.length)} ${apply ? 'made' : 'to make'}`] : []),
        ...(staying > 0 ? [`${staying} that will not be made`] : []),
      ].join(', '),
    );
    return apply ? staying === 0 : changes.length === 0;
  } finally {
    await log.close();
  }
}

/** A line a change; what the log cannot change says why. */
function topicTable(changes: readonly TopicChange[]): string {
  const rows = changes.map(({ topic, kind, setting, from, to, applies, note }) => [
    topic,
    setting ?? kind,
    from ?? '-',
    to,
    applies ? '' : `stays: ${note ?? 'the log does not change that'}`,
  ]);
  return table(rows, { head: ['topic', 'what', 'is', 'wanted', ''] });
}

const changesOf = (count: number): string => `${count} change${count === 1 ? '' : 's'}`;
