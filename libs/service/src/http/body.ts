import { isUtf8 } from 'node:buffer';
import type { MiddlewareHandler } from 'hono';
import { isJson } from './media-type.js';
import { problem } from './problem.js';

/**
 * Reads a request's body, at most `limit` bytes of it, before anything handles the request. Handlers get a new Request
 * with these bytes, because none can be made from the object that Node's adapter hands on.
 * Problems: 413 BODY_TOO_LARGE, 400 BODY_INCOMPLETE when the client left before its end, 400 MALFORMED_JSON for JSON
 * that is not UTF-8.
 */
export const wholeBody =
  (limit: number): MiddlewareHandler =>
  async (c, next) => {
    const { raw } = c.req;
    const { method, headers, url, signal } = raw;
    if (method === 'TRACE' || !raw.body) return next();
    if (Number(headers.get('content-length')) > limit) throw tooLarge(limit);
    const body = await read(raw.body, limit);
    if (isJson(headers.get('content-type')) && !isUtf8(body))
      throw problem(400, 'MALFORMED_JSON', 'The body is not JSON', 'expected the body to be UTF-8');
    c.req.raw = new Request(url, { method, headers, signal, ...(body.length > 0 && { body }) });
    return next();
  };

async function read(stream: ReadableStream<Uint8Array>, limit: number): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read().catch((cause) => {
      throw problem(
        400,
        'BODY_INCOMPLETE',
        'The body is incomplete',
        'the connection was closed before its end',
        {
          cause,
        },
      );
    });
    if (done) return Buffer.concat(chunks, size);
    size += value.length;
    if (size > limit) throw tooLarge(limit);
    chunks.push(value);
  }
}

const tooLarge = (limit: number) =>
  problem(413, 'BODY_TOO_LARGE', 'The body is too large', `expected at most ${limit} bytes`);
