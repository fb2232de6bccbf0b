import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { getRequestListener, RequestError } from '@hono/node-server';
import { type Logger, messageOf, RuntimeError } from '@rlhf-streams/bus';
import { refuseForeign } from './hosts.js';
import type { Http } from './openapi.js';
import { problem, problemAnswer, toProblem } from './problem.js';

export interface HttpServer {
  readonly port: number;
  readonly url: string;
  /** Lets requests under way finish; cuts them off when `signal` aborts. */
  close(signal: AbortSignal): Promise<void>;
}

export interface ListenOptions {
  readonly host: string;
  readonly port: number;
  /** The setting HTTP_ALLOWED_HOSTS. */
  readonly allowedHosts: string | undefined;
  /** Milliseconds without progress after which the connection of a client that does not read its answer is cut. */
  readonly stalledMs: number;
  readonly logger: Logger;
}

/** A request has to come within these; Node answers 408. */
const SLOW_REQUESTS = { headersTimeout: 15_000, requestTimeout: 60_000, connectionsCheckingInterval: 5000 };

/** @throws RuntimeError RUNTIME_LISTEN when the address cannot be had. */
export async function listen(app: Http, options: ListenOptions): Promise<HttpServer> {
  const { host, port, allowedHosts, stalledMs, logger } = options;
  const answer = (request: Request, env: object) => {
    const { address } = server.address() as AddressInfo;
    const refused = refuseForeign(request, { address, allowed: allowedHosts });
    return refused ? problemAnswer(refused, new URL(request.url).pathname) : app.fetch(request, env);
  };
  const errorHandler = (err: unknown) => {
    if (err instanceof RequestError)
      return problemAnswer(problem(400, 'MALFORMED_REQUEST', 'The request is malformed', err.message), '');
    logger.error({ err }, 'a request failed unexpectedly');
    return problemAnswer(toProblem(err), '');
  };
  const server = createServer(
    SLOW_REQUESTS,
    getRequestListener(answer, { overrideGlobalObjects: false, errorHandler }),
  );
  const connections = trackConnections(server);
  server.setTimeout(stalledMs, (socket) => connections.cutIfStalled(socket));
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
function trackConnections(server: Server): {
  closeWhenIdle(): void;
  /** Cuts an idle socket that does not read its answer; a socket that waits for a slow answer is left alone. */
  cutIfStalled(socket: Socket): void;
} {
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
    cutIfStalled: (socket) => {
      if (socket.writableLength > 0 || !requests.get(socket)) socket.destroy();
    },
  };
}

function reachable(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}
