/** What tests against a live broker share. */
import net from 'node:net';
import type { Batch, EventLog, LogRecord, TopicSpec } from '@rlhf-streams/log';
import { numbered, textOf, uniqueName, until as untilBy } from '@rlhf-streams/log/conformance';
import { onTestFinished, vi } from 'vitest';
import { type KafkaLogOptions, kafkaLog } from './index.js';

export { numbered, textOf, uniqueName };

const DEADLINE_MS = 30_000;
/** The time limit of a whole test. */
export const TEST_TIMEOUT_MS = 4 * DEADLINE_MS;

export const until = (what: string, fact: () => boolean | Promise<boolean>, deadlineMs = DEADLINE_MS) =>
  untilBy(what, fact, deadlineMs);

/** A log that is closed when the test has ended. */
export async function openLog(options: KafkaLogOptions): Promise<EventLog> {
  const log = await kafkaLog(options);
  onTestFinished(() => log.close());
  return log;
}

export async function newTopic(
  log: EventLog,
  partitions = 1,
  spec: Partial<TopicSpec> = {},
): Promise<string> {
  const name = uniqueName('topic');
  await log.ensureTopics([{ name, partitions, cleanup: 'delete', ...spec }]);
  return name;
}

/** Follows topics in the background until the test has ended. */
export function follow(log: EventLog, topics: readonly string[], onBatch: (batch: Batch) => void) {
  const controller = new AbortController();
  const ended = (async () => {
    for await (const batch of log.read({ topics, follow: true, signal: controller.signal })) onBatch(batch);
  })();
  ended.catch(() => {});
  onTestFinished(async () => {
    controller.abort();
    await ended.catch(() => {});
  });
  return ended;
}

/** Watches the sockets that this process opens, for tests that cut them or make a broker fall silent. */
export function watchSockets() {
  const sockets: net.Socket[] = [];
  const silent = new Set<number>();
  const connect = net.connect;
  const spy = vi.spyOn(net, 'connect').mockImplementation(((
    options: net.TcpNetConnectOpts,
    onConnect: () => void,
  ) => {
    const socket = connect(options, onConnect);
    if (silent.has(options.port)) socket.pause();
    sockets.push(socket);
    return socket;
  }) as typeof net.connect);
  onTestFinished(() => spy.mockRestore());
  const open = () => sockets.filter(({ destroyed }) => !destroyed);
  return {
    open,
    cut() {
      for (const socket of open()) socket.destroy(new Error('cut by the test'));
    },
    /** Makes the broker at this port one that accepts connections and never answers. */
    silence(port: number) {
      silent.add(port);
      for (const socket of open()) if (socket.remotePort === port) socket.pause();
    },
  };
}

/** Counts the requests that a log makes, by their names. */
export function watchRequests() {
  const requests: string[] = [];
  return {
    onDebug(message: string) {
      const [, name] = /^Request (\w+)\(/.exec(message) ?? [];
      if (name) requests.push(name);
    },
    count: (name: string) => requests.filter((each) => each === name).length,
  };
}

/** Warnings of the process; a test that expects none compares with `[]`. */
export function watchWarnings(): string[] {
  const warnings: string[] = [];
  const listener = (warning: Error) => warnings.push(String(warning));
  process.on('warning', listener);
  onTestFinished(() => {
    process.off('warning', listener);
  });
  return warnings;
}

export const texts = (records: readonly LogRecord[]): string[] => records.map(textOf);
