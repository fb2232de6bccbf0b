/** Where `serve` listens: ports in a row, checked before anything is started. */
import { once } from 'node:events';
import { createServer, isIP } from 'node:net';
import { CliError } from './errors.js';
import type { ServiceName } from './service-names.js';

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

/** Free ones for a gateway at port 0. */
export const portsFrom = (gateway: number): Ports =>
  Object.fromEntries(
    IN_ORDER.map((service, index) => [service, gateway === 0 ? 0 : gateway + index]),
  ) as Ports;

/**
 * Whether the services can listen there now, which is all that can be known before they try.
 * @throws CliError CLI_CANNOT_LISTEN naming every port that cannot be had, and why.
 */
export async function checkPorts(host: string, ports: Ports): Promise<void> {
  const refused: string[] = [];
  for (const service of IN_ORDER) {
    const port = ports[service];
    const reason = await whyNot(host, port);
    if (reason) refused.push(`${port} of the ${service} (${reason})`);
  }
  if (refused.length === 0) return;
  const { gateway } = ports;
  throw new CliError(
    'CLI_CANNOT_LISTEN',
    `expected to listen at ${host} on ports ${gateway} to ${gateway + IN_ORDER.length - 1}, could not at ${refused.join(', ')}: set --port (or PORT) to the first of ${IN_ORDER.length} that are free, or to 0 for any, and --host (or HOST) to an address of this machine`,
  );
}

async function whyNot(host: string, port: number): Promise<string | undefined> {
  const server = createServer();
  try {
    server.listen(port, host);
    await once(server, 'listening');
    server.close();
    await once(server, 'close');
    return undefined;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === 'EADDRINUSE' ? 'taken by another process' : message;
  }
}

/** What people must know of an address that is not this machine's alone. */
export function exposure(host: string): string | undefined {
  if (host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.')))
    return undefined;
  const where = host === '0.0.0.0' || host === '::' ? `every address of this machine (${host})` : host;
  return `Listening at ${where}: whoever reaches it can use all of this, for there is no authentication.`;
}
