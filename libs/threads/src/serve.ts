import { isMainThread, type MessagePort, parentPort } from 'node:worker_threads';
import { ThreadError } from './errors.js';
import { type Api, type Call, CLOSE, READY, type Reply, serialiseError } from './protocol.js';
import { closeThreads } from './spawn.js';

/** Answers the parent's calls with the functions of `api`. The module that a thread runs calls it once. */
export function serve(api: Api, port: MessagePort | null = parentPort): void {
  if (!port)
    throw new ThreadError('THREAD_CLOSED', 'expected to run in a worker thread, or to be given a port');
  port.on('message', async (call: Call) => {
    if (call.method === CLOSE) {
      // Node would terminate this thread's own threads together with it, in native code too.
      await closeThreads();
      if (!isMainThread) process.exit();
      return port.close();
    }
    const reply = await answer(api, call);
    try {
      port.postMessage(reply);
    } catch (error) {
      // The value cannot be cloned: the call fails, and the thread goes on.
      port.postMessage({ id: call.id, error: serialiseError(error) } satisfies Reply);
    }
  });
}

async function answer(api: Api, { id, method, args }: Call): Promise<Reply> {
  if (method === READY) return { id, value: undefined };
  try {
    const work = Object.hasOwn(api, method) ? api[method] : undefined;
    if (!work)
      throw new ThreadError(
        'THREAD_UNKNOWN_CALL',
        `expected one of ${Object.keys(api).join(', ')}, got ${method}`,
      );
    return { id, value: await work(...(args as never[])) };
  } catch (error) {
    return { id, error: serialiseError(error) };
  }
}
