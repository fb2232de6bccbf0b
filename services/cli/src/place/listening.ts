/** Where `serve` listens: ports in a row, checked before anything is started. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { isLoopback } from '@rlhf-streams/service';
import { CliError } from '../errors.js';
import type { ServiceName } from './services.js';

/** The gateway's port is the one that is asked for; the others follow it. */
const IN_ORDER = [
  'gateway',
  'policy',
  'reward',
  'reference',
  'optimizer',
  'coordinator',
] as const satisfies ServiceName[];
export const MOST_GATEWAY_PORT = 65_535 - (IN_ORDER.length - 1);

export type Ports = Readonly<Record<ServiceName, number>>;

/** The port of each service for a gateway at this one; port 0 stands for any free port, then of all services. */
export const portsFrom = (gateway: number): Ports =>
  Object.fromEntries(
    IN_ORDER.map((service, index) => [service, gateway === 0 ? 0 : gateway + index]),
  ) as Ports;

/**
 * Checks that the services could listen there now. Another process may still take a port before they do.
 * @throws CliError CLI_CANNOT_LISTEN naming the ports that are taken, or why there is no listening at the address.
 */
export async function checkPorts(host: string, ports: Ports): Promise<void> {
  const taken: string[] = [];
  for (const service of IN_ORDER) {
    const error = await whyNot(host, ports[service]);
    if (error?.code === 'EADDRINUSE') taken.push(`${ports[service]} (${service})`);
    else if (error)
      throw cannotListen(
        `expected to listen at ${host}: ${error.message}; set --host (or HOST) and --port (or PORT)`,
      );
  }
  if (taken.length > 0)
    throw cannotListen(
      `expected ports ${ports.gateway} to ${ports.gateway + IN_ORDER.length - 1} of ${host} to be free, taken are ${taken.join(', ')}: set --port (or PORT) to the first of ${IN_ORDER.length} that are free, or to 0 for any`,
    );
}

const cannotListen = (message: string) => new CliError('CLI_CANNOT_LISTEN', message);

async function whyNot(host: string, port: number): Promise<NodeJS.ErrnoException | undefined> {
  const server = createServer();
  try {
    server.listen(port, host);
    await once(server, 'listening');
  } catch (error) {
    return error as NodeJS.ErrnoException;
  }
  server.close();
  await once(server, 'close');
  return undefined;
}

/** A warning where the address can be reached from other machines. */
export function exposure(host: string): string | undefined {
  if (isLoopback(host)) return undefined;
  const where = host === '0.0.0.0' || host === '::' ? `every address of this machine (${host})` : host;
  return `Listening at ${where}: whoever reaches it can use all of this, for there is no authentication.`;
}
