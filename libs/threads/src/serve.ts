import { isMainThread, type MessagePort, parentPort } from 'node:worker_threads';
import { ThreadError } from './errors.js';
import { type Api, type Call, CLOSE, READY, type Reply, serialiseError } from './protocol.js';
import { closeThreads } from './spawn.js';

/** Answers the parent's calls with the functions of `api`. Called once, by the module a thread runs. */
export function serve(api: Api, port: MessagePort | null = parentPort): void {
  if (!port)
    throw new ThreadError('THREAD_CLOSED', 'expected to run in a worker thread, or to be given a port');
  port.on('message', async (call: Call) => {
    if (call.method === CLOSE) {
      // Node would end them with this one, wherever they are.
      await closeThreads();
      if (!isMainThread) process.exit();
      return port.close();
    }
    const reply = await answer(api, call);
    try {
      port.postMessage(reply);
    } catch (error) {
      // The value cannot be cloned: the caller's mistake to hear of, not the thread's to die of.
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
