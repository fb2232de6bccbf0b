import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type {
  BatchContext,
  EventLog,
  LogRecord,
  NewRecord,
  Positions,
  SubscribeOptions,
  Subscription,
  TopicSpec,
} from '../port.js';

/** A log to test, and what is needed around it. */
export interface LogUnderTest {
  readonly log: EventLog;
  /** Opens the same data again, once `log` is closed. Left out where no data outlive the log. */
  readonly reopen?: () => Promise<EventLog>;
  /** Called at the end, with every log closed or not. */
  cleanup(): Promise<void>;
}

export interface ConformanceOptions {
  create(): Promise<LogUnderTest>;
  readonly timing?: {
    /** Milliseconds that a test waits for a fact before it fails. Default 15 000. */
    readonly deadlineMs?: number;
  };
}

/** What the tests of a suite share: one log, topics of their own, and subscriptions closed after each test. */
export interface Harness {
  readonly log: EventLog;
  readonly create: ConformanceOptions['create'];
  /** Creates a topic no other test knows. */
  topic(partitions?: number, spec?: Partial<TopicSpec>): Promise<string>;
  subscribe(options: SubscribeOptions): Promise<Subscription>;
  /** Waits until `fact` holds; fails with `what` after the deadline. */
  until(what: string, fact: () => boolean | Promise<boolean>): Promise<void>;
}

const POLL_MS = 2;

export const uniqueName = (kind: string): string => `${kind}-${randomUUID()}`;

/** Waits until `fact` holds, asking often; throws naming `what` after `deadlineMs`. */
export async function until(
  what: string,
  fact: () => boolean | Promise<boolean>,
  deadlineMs: number,
): Promise<void> {
  const deadline = performance.now() + deadlineMs;
  while (!(await fact())) {
    if (performance.now() > deadline) throw new Error(`Waited ${deadlineMs} ms in vain until ${what}.`);
    await sleep(POLL_MS);
  }
}

/** `count` records of a topic, spread over keys; their values are `prefix` and a number from 0 on. */
export function numbered(topic: string, count: number, prefix = 'record '): NewRecord[] {
  return Array.from({ length: count }, (_, i) => ({ topic, key: `key ${i % 17}`, value: `${prefix}${i}` }));
}

export const textOf = ({ value }: LogRecord): string => Buffer.from(value).toString();

export async function readAll(
  log: EventLog,
  topics: readonly string[],
  from?: Positions,
  partitions?: readonly number[],
): Promise<LogRecord[]> {
  const records: LogRecord[] = [];
  const options = { topics, follow: false, ...(from && { from }), ...(partitions && { partitions }) };
  for await (const batch of log.read(options)) records.push(...batch.records);
  return records;
}

export const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

/** Resolves when the handler's signal aborts. */
export function aborted({ signal }: BatchContext): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/** A promise and the function that resolves it. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}
