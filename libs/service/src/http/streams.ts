import type { Logger } from '@rlhf-streams/bus';
import type { Context } from 'hono';
import { type SSEStreamingApi, streamSSE } from 'hono/streaming';

/** The server-sent event streams a service has open. They never end by themselves, so that draining must end them. */
export interface OpenStreams {
  /** How many are open. */
  readonly size: number;
  /**
   * A response of media type text/event-stream that `write` writes to until it returns.
   * `signal` aborts when the client leaves or the service drains; idle streams are kept alive by comments.
   */
  sse(c: Context, write: (stream: SSEStreamingApi, signal: AbortSignal) => Promise<void>): Response;
  /** Aborts all, and resolves when they have ended. */
  close(): Promise<void>;
}

const KEEP_ALIVE_MS = 15_000;

export function createStreams(logger: Logger): OpenStreams {
  const open = new Map<AbortController, Promise<void>>();
  let closed = false;

  const run = async (controller: AbortController, work: () => Promise<void>, path: string) => {
    try {
      await work();
    } catch (err) {
      // The headers are sent already: the client can only see that the stream ends.
      if (!controller.signal.aborted) logger.error({ err, path }, 'an event stream failed');
    } finally {
      open.delete(controller);
    }
  };

  return {
    get size() {
      return open.size;
    },
    sse: (c, write) =>
      streamSSE(c, async (stream) => {
        const controller = new AbortController();
        stream.onAbort(() => controller.abort());
        if (closed) controller.abort();
        const keepAlive = setInterval(() => void stream.write(': keep-alive\n\n'), KEEP_ALIVE_MS).unref();
        const running = run(controller, () => write(stream, controller.signal), c.req.path);
        open.set(controller, running);
        await running;
        clearInterval(keepAlive);
      }),
    close: async () => {
      closed = true;
      const ending = [...open.values()];
      for (const controller of open.keys()) controller.abort();
      await Promise.all(ending);
    },
  };
}
