import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { KafkaBrokerError } from './errors.js';

/**
 * Below the ranges from which operating systems take the ports of outgoing connections, so that a port found free stays
 * free until its broker listens, and while the broker is down.
 */
const FIRST_PORT = 20_000;
const END_OF_PORTS = 32_000;

/** Finds `count` different ports at which nothing listens, on any address. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = randomInt(FIRST_PORT, END_OF_PORTS);
    if (!ports.has(port) && (await isFree(port))) ports.add(port);
  }
  return [...ports];
}

/** The `count` ports from `first`. @throws KafkaBrokerError KAFKA_BROKER_INVALID where one is taken. */
export async function portsFrom(first: number, count: number): Promise<number[]> {
  const ports = Array.from({ length: count }, (_, i) => first + i);
  for (const port of ports) {
    if (!(await isFree(port))) {
      throw new KafkaBrokerError(
        'KAFKA_BROKER_INVALID',
        `expected port ${port} to be free, but something listens there: end it, or choose another port`,
      );
    }
  }
  return ports;
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen({ port, exclusive: true }, resolve);
    });
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE' || code === 'EACCES') return false;
    throw error;
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}
