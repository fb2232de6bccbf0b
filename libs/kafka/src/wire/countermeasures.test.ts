import { once } from 'node:events';
import net from 'node:net';
import { until } from '@rlhf-streams/log/conformance';
import Connection from 'kafkajs/src/network/connection.js';
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js';
import Encoder from 'kafkajs/src/protocol/encoder.js';
import protocolErrors from 'kafkajs/src/protocol/error.js';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { applyCountermeasures } from './countermeasures.js';

applyCountermeasures();

const DEADLINE_MS = 10_000;
const ignore = () => {};
const silent = { debug: ignore, error: ignore, warn: ignore, info: ignore };
const logger = { ...silent, namespace: () => silent };

interface TestConnection {
  connect(): Promise<unknown>;
  disconnect(): Promise<unknown>;
  isConnected(): boolean;
  send(exchange: object): Promise<Buffer>;
}

/** A server that says what `answer` does with each request's correlation id. */
async function listen(answer: (socket: net.Socket, correlationId: number) => void) {
  const sockets: net.Socket[] = [];
  const server = net.createServer((socket) => {
    sockets.push(socket);
    socket.on('error', ignore);
    // A request begins with its size, API key and version, and correlation id.
    socket.on('data', (bytes) => answer(socket, bytes.readInt32BE(8)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const connection = new (Connection as unknown as new (options: object) => TestConnection)({
    host: '127.0.0.1',
    port,
    logger,
    connectionTimeout: DEADLINE_MS,
    requestTimeout: 10 * DEADLINE_MS,
    socketFactory: (to: { host: string; port: number; onConnect: () => void }) =>
      net.connect({ host: to.host, port: to.port }, to.onConnect),
  });
  cleanups.push(async () => {
    await connection.disconnect();
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { sockets, connection };
}

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

/** A request without content, and the bytes of its answer. */
const exchange = {
  request: { apiKey: 18, apiVersion: 0, apiName: 'Test', encode: async () => new Encoder() },
  response: { decode: async (bytes: Buffer) => bytes, parse: async (bytes: Buffer) => bytes },
};

function answerOf(correlationId: number, text: string): Buffer {
  const head = Buffer.alloc(8);
  head.writeInt32BE(4 + text.length, 0);
  head.writeInt32BE(correlationId, 4);
  return Buffer.concat([head, Buffer.from(text)]);
}

describe('countermeasures', () => {
  it('leave an idle queue without a timer, and check a throttled one when its time has come', () => {
    vi.useFakeTimers();
    cleanups.push(async () => void vi.useRealTimers());
    const queue = Object.create(RequestQueue.prototype) as typeof RequestQueue.prototype;
    Object.assign(queue, { pending: [], throttledUntil: -1, throttleCheckTimeoutId: null });
    queue.checkPendingRequests();
    expect(vi.getTimerCount()).toBe(0);
    queue.pending.push({});
    queue.throttledUntil = Date.now() + 5_000;
    const check = vi.spyOn(queue, 'checkPendingRequests').mockImplementation(ignore);
    queue.scheduleCheckPendingRequests();
    vi.advanceTimersByTime(4_999);
    expect(check).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(check).toHaveBeenCalledOnce();
  });

  it('open one socket for requests made side by side', async () => {
    const { sockets, connection } = await listen((socket, id) => socket.write(answerOf(id, 'answer')));
    await Promise.all(Array.from({ length: 5 }, () => connection.connect()));
    expect((await connection.send(exchange)).toString()).toBe('answer');
    expect(sockets).toHaveLength(1);
  });

  it('fail the requests of a connection that is given up', async () => {
    const { connection, sockets } = await listen(ignore);
    await connection.connect();
    const request = connection.send(exchange);
    await until('it is under way', () => (sockets[0]?.bytesRead ?? 0) > 0, DEADLINE_MS);
    const failure = expect(request).rejects.toMatchObject({ name: 'KafkaJSConnectionClosedError' });
    await connection.disconnect();
    await failure;
    expect(connection.isConnected()).toBe(false);
  });

  it('keep nothing of half an answer for the next connection', async () => {
    const { connection } = await listen((socket, id) => {
      if (id === 0) {
        socket.write(answerOf(id, 'the first').subarray(0, 10));
        socket.end();
      } else socket.write(answerOf(id, 'the second'));
    });
    await connection.connect();
    await expect(connection.send(exchange)).rejects.toMatchObject({ name: 'KafkaJSConnectionClosedError' });
    await connection.connect();
    expect((await connection.send(exchange)).toString()).toBe('the second');
  });

  it('do not let an old socket end a new one', async () => {
    const { sockets, connection } = await listen((socket, id) => {
      if (id > 0) socket.write(answerOf(id, 'answer'));
    });
    await connection.connect();
    connection.send(exchange).catch(ignore);
    await until('a request is under way', () => (sockets[0]?.bytesRead ?? 0) > 0, DEADLINE_MS);
    void connection.disconnect();
    await connection.connect();
    expect((await connection.send(exchange)).toString()).toBe('answer');
    sockets[0]!.resetAndDestroy();
    await until('the old socket is gone', () => sockets[0]!.closed, DEADLINE_MS);
    expect((await connection.send(exchange)).toString()).toBe('answer');
    expect(sockets).toHaveLength(2);
  });

  it('name the errors of newer brokers', () => {
    expect(protocolErrors.createErrorFromCode(90).type).toBe('PRODUCER_FENCED');
    expect(protocolErrors.createErrorFromCode(27).type).toBe('REBALANCE_IN_PROGRESS');
  });
});
