/** The file that says how topics are to be kept: partitions, copies, retention and further settings. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { messageOf, RuntimeError } from '@rlhf-streams/bus';
import {
  archivedTopics,
  explainMistake,
  type TopicDefinition,
  type TopicName,
  topics,
} from '@rlhf-streams/events';
import { parseDocument } from 'yaml';
import { z } from 'zod';

/** The least `max.message.bytes`: brokers refuse what is larger, and services publish records of a million bytes. */
const LEAST_MESSAGE_BYTES = 1_048_588;

const MINUTE = 60 * 1000;
const UNITS = { m: MINUTE, h: 60 * MINUTE, d: 24 * 60 * MINUTE } as const;
/** The shortest retention: what is read again after a crash, or by a service that was down, must still be there. */
export const SHORTEST_RETENTION_MS = UNITS.h;
const EXPECTED = 'expected a duration of at least 1h, as 7d, 12h or 90m, or forever';

/** How long a record is kept: `7d`, `12h`, `90m`, as milliseconds, or `forever`. At least an hour. */
const Retention = z.string(EXPECTED).transform((text, { addIssue }): number | 'forever' => {
  if (text === 'forever') return text;
  const [, count, unit] = /^(\d{1,6})([mhd])$/.exec(text) ?? [];
  const milliseconds = Number(count) * UNITS[unit as keyof typeof UNITS];
  if (milliseconds >= SHORTEST_RETENTION_MS) return milliseconds;
  addIssue({ code: 'custom', message: EXPECTED });
  return z.NEVER;
});

const Settings = z
  .record(
    z.string().regex(/^[a-z][a-z0-9.-]*$/, "expected a topic setting in Kafka's names, as segment.bytes"),
    z.union([z.string(), z.number(), z.boolean()]).transform(String),
  )
  .superRefine((settings, { addIssue }) => {
    const refuse = (name: string, message: string) => addIssue({ code: 'custom', path: [name], message });
    if ('cleanup.policy' in settings) refuse('cleanup.policy', 'expected it as cleanup, beside settings');
    if ('retention.ms' in settings) refuse('retention.ms', 'expected it as retention, beside settings');
    const most = settings['max.message.bytes'];
    if (most !== undefined && !(Number(most) >= LEAST_MESSAGE_BYTES))
      refuse('max.message.bytes', `expected at least ${LEAST_MESSAGE_BYTES}: records may be that large`);
  });

const defaults = {
  partitions: z.int().min(1).max(10_000).optional(),
  replication: z.int().min(1).max(1_000).optional(),
  retention: Retention.optional(),
  settings: Settings.optional(),
};
const Defaults = z.strictObject(defaults).superRefine(({ settings }, { addIssue }) => {
  if (settings && 'retention.bytes' in settings)
    addIssue({
      code: 'custom',
      path: ['settings', 'retention.bytes'],
      message: 'expected it for topics by name: not every topic may lose records',
    });
});

const TopicSettings = z.strictObject({ ...defaults, cleanup: z.enum(['delete', 'compact']).optional() });
export type TopicSettings = z.output<typeof TopicSettings>;

const isArchived = (name: string): boolean => archivedTopics.some((archived) => archived === name);

/** What one topic may be set to, without losing what services rely on. */
const settingsOf = (topic: Pick<TopicDefinition, 'name' | 'cleanup' | 'state'>) =>
  TopicSettings.superRefine(({ cleanup, retention, settings = {} }, { addIssue }) => {
    const { name, cleanup: known, state } = topic;
    const refuse = (path: string[], message: string) => addIssue({ code: 'custom', path, message });
    if (cleanup !== undefined && cleanup !== known)
      refuse(
        ['cleanup'],
        known === 'compact'
          ? `expected ${name} to stay compacted: its last event of each key is kept for ever`
          : `expected ${name} to stay at delete: compaction would take all events of a key but its last`,
      );
    if (isArchived(name) && !state && (settings['retention.bytes'] ?? '-1') !== '-1')
      refuse(
        ['settings', 'retention.bytes'],
        `expected none: brokers would delete of ${name} what is not archived yet; set its retention`,
      );
    const kept = known === 'compact' ? 'compacted' : state ? 'kept whole' : undefined;
    if (!kept) return;
    const because = `${name} is ${kept}: services rebuild what they know from it`;
    if (retention !== undefined && !(retention === 'forever' && state))
      refuse(['retention'], `expected none, ${because}`);
    if ((settings['retention.bytes'] ?? '-1') !== '-1')
      refuse(['settings', 'retention.bytes'], `expected none, ${because}`);
  });

const TopicsFile = z.strictObject({
  defaults: Defaults.optional(),
  topics: z
    .strictObject(
      Object.fromEntries(
        Object.values(topics).map((topic) => [topic.name, settingsOf(topic).optional()]),
      ) as Record<TopicName, z.ZodOptional<typeof TopicSettings>>,
    )
    .optional(),
});
export type TopicsFile = z.output<typeof TopicsFile>;

/** @throws RuntimeError RUNTIME_SETTINGS naming the file and every mistake in it by its path. */
export async function readTopicsFile(path: string): Promise<TopicsFile> {
  const text = await readFile(path, 'utf8').catch((cause) => {
    throw invalid(
      `expected ${resolve(path)}, which configures the topics, to be a readable file: ${messageOf(cause)}`,
      cause,
    );
  });
  const result = TopicsFile.safeParse(contentOf(text, path), { error: explainMistake });
  if (result.success) return result.data;
  throw invalid(`expected ${path} to say how topics are kept:\n${z.prettifyError(result.error)}`);
}

function contentOf(text: string, path: string): unknown {
  const document = parseDocument(text);
  const [mistake] = document.errors;
  if (mistake) throw invalid(`${path} is no YAML: ${mistake.message}`, mistake);
  try {
    return document.toJS();
  } catch (cause) {
    // An alias without its anchor, or aliases of aliases that would fill the memory.
    throw invalid(`${path} is no YAML: ${messageOf(cause)}`, cause);
  }
}

const invalid = (message: string, cause?: unknown) =>
  new RuntimeError('RUNTIME_SETTINGS', message, cause === undefined ? undefined : { cause });
