import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import type { Hono } from 'hono';
import { messageOf, RuntimeError } from '../errors.js';

export interface HttpServer {
  readonly port: number;
  readonly url: string;
  /** Lets requests under way finish; cuts them off when `signal` aborts. */
  close(signal: AbortSignal): Promise<void>;
}

/** @throws RuntimeError RUNTIME_LISTEN when the address cannot be had. */
export async function listen(
  app: Hono,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<HttpServer> {
  const server = createAdaptorServer({ fetch: app.fetch, overrideGlobalObjects: false }) as Server;
  const connections = trackConnections(server);
  try {
    server.listen(port, host);
    await once(server, 'listening');
  } catch (cause) {
    throw new RuntimeError(
      'RUNTIME_LISTEN',
      `expected to listen at ${host}:${port}: ${messageOf(cause)}; set HOST and PORT`,
      { cause },
    );
  }
  const bound = server.address() as AddressInfo;
  return {
    port: bound.port,
    url: `http://${reachable(host)}:${bound.port}`,
    close: async (signal) => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      connections.closeWhenIdle();
      const cut = () => server.closeAllConnections();
      signal.addEventListener('abort', cut, { once: true });
      await closed;
      signal.removeEventListener('abort', cut);
    },
  };
}

/** Node's own closeIdleConnections spares connections that never sent a request, and looks only once. */
function trackConnections(server: Server): { closeWhenIdle(): void } {
  const requests = new Map<Socket, number>();
  let closing = false;
  const change = (socket: Socket, by: number) => {
    const before = requests.get(socket);
    if (before === undefined) return;
    const underWay = before + by;
    if (underWay === 0 && closing) socket.destroySoon();
    else requests.set(socket, underWay);
  };
  server.on('connection', (socket) => {
    requests.set(socket, 0);
    socket.once('close', () => requests.delete(socket));
  });
  server.on('request', ({ socket }, response) => {
    change(socket, 1);
    response.once('close', () => change(socket, -1));
  });
  return {
    closeWhenIdle: () => {
      closing = true;
      for (const socket of requests.keys()) change(socket, 0);
    },
  };
}

function reachable(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}
