/** Connections to a cluster, over which requests are made again while their errors are of a kind that passes. */
import net from 'node:net';
import tls from 'node:tls';
import { LogError } from '@rlhf-streams/log';
import { backoff, linked, withDeadline } from '@rlhf-streams/waiting';
import type { SocketDestination } from 'kafkajs/src/network/connectionPool.js';
import type { KafkaSettings } from '../options.js';
import { type Cluster, openCluster } from './cluster.js';
import { registerCodecs } from './codecs.js';
import { applyCountermeasures } from './countermeasures.js';
import { describe, faultOf, toLogError } from './errors.js';

export const READ_UNCOMMITTED = 0;
export const READ_COMMITTED = 1;

export interface AttemptOptions {
  /** Milliseconds. Default `deadlineMs` of the settings. */
  readonly deadlineMs?: number;
  /** Gives up with LOG_CLOSED when aborted. */
  readonly signal?: AbortSignal;
}

/** One set of connections. A broker answers requests of a connection in turn, so those that wait long have their own set. */
export interface Wire extends Omit<Cluster, 'close'> {
  /**
   * Does `work`, again and again, until it succeeds, fails for good, or the deadline passes.
   *
   * @param what an infinitive for messages: "Kafka could not find topic t".
   * @throws LogError LOG_UNAVAILABLE at the deadline, LOG_CLOSED, or what the broker's error is to the port.
   */
  attempt<T>(what: string, work: () => Promise<T>, options?: AttemptOptions): Promise<T>;
  /** Fails every request under way. */
  close(): void;
}

/** A transaction finds the one before it unfinished for some milliseconds, so the first retry comes soon. */
const RETRY = { minDelayMs: 5, maxDelayMs: 1_000 };
const KEEP_ALIVE_MS = 60_000;

export function openWire(settings: KafkaSettings): Wire {
  applyCountermeasures();
  registerCodecs();
  const sockets = new Set<net.Socket>();
  const closing = new AbortController();
  const cluster = openCluster(settings, openSocket);

  function openSocket({ host, port, ssl, onConnect }: SocketDestination): net.Socket {
    if (closing.signal.aborted) throw new LogError('LOG_CLOSED', 'The log was closed.');
    const socket = ssl
      ? tls.connect({ host, port, ...(net.isIP(host) ? {} : { servername: host }), ...ssl }, onConnect)
      : net.connect({ host, port }, onConnect);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    return socket;
  }

  function unavailable(what: string, deadlineMs: number, cause: unknown): LogError {
    const because = cause ? `, the last time because of: ${describe(cause)}` : '';
    return new LogError(
      'LOG_UNAVAILABLE',
      `Kafka could not ${what} within ${deadlineMs} ms${because}. Are the brokers at ${settings.brokers.join(', ')} up?`,
      { cause },
    );
  }

  return {
    ...cluster,
    async attempt(what, work, { deadlineMs = settings.deadlineMs, signal } = {}) {
      const end = performance.now() + deadlineMs;
      const stop = linked(closing.signal, signal);
      const delays = backoff(RETRY);
      let cause: unknown;
      const late = () => unavailable(what, deadlineMs, cause);
      try {
        while (!stop.signal.aborted) {
          try {
            const ms = Math.max(0, end - performance.now());
            return await withDeadline(work(), { ms, late, signal: stop.signal });
          } catch (error) {
            if (stop.signal.aborted) break;
            if (error instanceof LogError) throw error;
            if (!faultOf(error).canRetry) throw toLogError(error, what);
            cause = error;
            if (performance.now() > end) throw late();
            await delays.pause(stop.signal);
            cluster.forget(error);
          }
        }
        throw new LogError('LOG_CLOSED', `Stopped trying to ${what}: the log was closed.`, { cause });
      } finally {
        stop.release();
      }
    },
    close() {
      closing.abort();
      cluster.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
