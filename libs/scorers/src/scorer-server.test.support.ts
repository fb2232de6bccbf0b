/** An HTTP server that stands for a scorer or a judge, and answers as the test says. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Asked {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: unknown;
}

/** A status with JSON or text, or what the test does with the response; `never` leaves the request without an answer. */
export type Reply =
  | 'never'
  | {
      readonly status?: number;
      readonly json?: unknown;
      readonly text?: string;
      readonly headers?: Record<string, string>;
    }
  | ((response: ServerResponse) => void);

export interface ScorerServer {
  readonly url: string;
  /** Every request so far. */
  readonly asked: Asked[];
  /** Decides what is answered from now on. */
  reply: (asked: Asked, index: number) => Reply | Promise<Reply>;
  close(): Promise<void>;
}

export async function startScorerServer(): Promise<ScorerServer> {
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const asked = { path: request.url!, headers: request.headers, body: JSON.parse(text) as unknown };
    started.asked.push(asked);
    const reply = await started.reply(asked, started.asked.length - 1);
    if (reply === 'never') return;
    if (typeof reply === 'function') return reply(response);
    const { status = 200, json, text: plain = JSON.stringify(json), headers = {} } = reply;
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(plain);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const started: ScorerServer = {
    url: `http://127.0.0.1:${port}/score`,
    asked: [],
    reply: () => ({ status: 500 }),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  return started;
}

/** A score for each item of a request: the length of its completion. */
export const lengths = ({ body }: Asked): Reply => ({
  json: {
    scores: (body as { items: { completion: string }[] }).items.map(({ completion }) => completion.length),
  },
});

/** What a chat endpoint answers with. */
export const chat = (
  content: string,
  usage?: { prompt_tokens: number; completion_tokens: number },
): Reply => ({
  json: { choices: [{ message: { role: 'assistant', content } }], ...(usage && { usage }) },
});
