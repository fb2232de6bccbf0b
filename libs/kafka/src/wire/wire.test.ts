import { once } from 'node:events';
import net from 'node:net';
import protocolErrors from 'kafkajs/src/protocol/error.js';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { kafkaLog } from '../index.js';
import { kafkaSettings } from '../options.js';
import { applyCountermeasures } from './countermeasures.js';
import { openWire, type Wire } from './wire.js';

applyCountermeasures();
const CONCURRENT_TRANSACTIONS = 51;
const never = new Promise<never>(() => {});

describe('an attempt', () => {
  let wire: Wire;
  beforeEach(() => {
    vi.useFakeTimers();
    wire = openWire(kafkaSettings({ brokers: ['here:1', 'there:2'], deadlineMs: 60_000 }));
  });
  afterEach(() => {
    wire.close();
    vi.useRealTimers();
  });

  /** Milliseconds it takes to fail `failures` times and then succeed. */
  async function timeToSucceed(failures: number): Promise<number> {
    const began = performance.now();
    let left = failures;
    const done = wire.attempt('try', async () => {
      if (left-- > 0) throw protocolErrors.createErrorFromCode(CONCURRENT_TRANSACTIONS);
      return performance.now() - began;
    });
    await vi.runAllTimersAsync();
    return done;
  }

  it('is made again soon: a transaction after another finds that one unfinished for some milliseconds', async () => {
    expect(await timeToSucceed(1)).toBeLessThanOrEqual(10);
    expect(await timeToSucceed(3)).toBeLessThanOrEqual(50);
  });

  it('gives up at the deadline, naming the brokers, what it tried and what hindered it', async () => {
    const failing = expect(
      wire.attempt('try', async () => {
        throw protocolErrors.createErrorFromCode(CONCURRENT_TRANSACTIONS);
      }),
    ).rejects.toMatchObject({
      code: 'LOG_UNAVAILABLE',
      message: expect.stringMatching(/try.*CONCURRENT_TRANSACTIONS.*here:1, there:2/),
    });
    const silent = expect(wire.attempt('hear', () => never)).rejects.toMatchObject({
      code: 'LOG_UNAVAILABLE',
    });
    await vi.advanceTimersByTimeAsync(62_000);
    await failing;
    await silent;
  });

  it('ends when its signal aborts or the log closes, whatever it waits for', async () => {
    const controller = new AbortController();
    const stopped = expect(
      wire.attempt('hear', () => never, { signal: controller.signal }),
    ).rejects.toMatchObject({ code: 'LOG_CLOSED' });
    controller.abort();
    await stopped;
    const closed = expect(wire.attempt('hear', () => never)).rejects.toMatchObject({ code: 'LOG_CLOSED' });
    wire.close();
    await closed;
    await expect(wire.attempt('try', async () => 1)).rejects.toMatchObject({ code: 'LOG_CLOSED' });
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('brokers that', () => {
  async function listen(
    onSocket: (socket: net.Socket) => void,
  ): Promise<{ address: string; server: net.Server }> {
    const server = net.createServer(onSocket);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return { address: `127.0.0.1:${(server.address() as net.AddressInfo).port}`, server };
  }

  it('are not there are named after the deadline', async () => {
    const { address, server } = await listen(() => {});
    server.close();
    await once(server, 'close');
    await expect(kafkaLog({ brokers: [address], deadlineMs: 300 })).rejects.toMatchObject({
      code: 'LOG_UNAVAILABLE',
      message: expect.stringContaining(address),
    });
  });

  it('accept and never answer are, too', async () => {
    const sockets: net.Socket[] = [];
    const { address, server } = await listen((socket) => sockets.push(socket));
    await expect(kafkaLog({ brokers: [address], deadlineMs: 300 })).rejects.toMatchObject({
      code: 'LOG_UNAVAILABLE',
      message: expect.stringContaining(address),
    });
    for (const socket of sockets) await once(socket.resume(), 'close');
    server.close();
  });
});
