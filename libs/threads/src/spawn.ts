import { setFlagsFromString } from 'node:v8';
import { MessagePort, SHARE_ENV, Worker } from 'node:worker_threads';
import { ThreadError } from './errors.js';
import { type Api, type Call, CLOSE, READY, type Reply, reviveError } from './protocol.js';

export interface ThreadOptions {
  readonly name: string;
  readonly data?: unknown;
  /** How long a thread that is closed may compute on, in milliseconds. Default 20,000: native code must not be cut. */
  readonly patienceMs?: number;
}

/** A running thread whose functions are called like local ones. */
export interface Thread<T extends Api> {
  readonly call: T;
  /** Resolves when the module has loaded and serves. Rejects as a call does. */
  ready(): Promise<void>;
  /** Rejects when the thread dies of itself; never settles otherwise. */
  readonly died: Promise<never>;
  /**
   * Rejects the calls under way with THREAD_CLOSED. The thread ends at its next turn of the event loop: to terminate it
   * within native code may end the process. Without such a turn it is terminated when its patience is over. Idempotent.
   */
  close(): Promise<void>;
}

/** A micro-batch of a model of some hundred million parameters is one native call of seconds, of more on a busy machine. */
const PATIENCE_MS = 20_000;

// Threads begin with a young generation of 1 MB, in which what a computation returns lives too long: its collections, side
// by side in threads that leave no core free, took a fifth of the time of generation (measured). Megabytes.
setFlagsFromString('--min-semi-space-size=16');

/** Threads that this one has spawned and that have not exited. */
const open = new Set<Pick<Thread<Api>, 'close'>>();

/** Closes the threads that this one has spawned. */
export const closeThreads = async (): Promise<void> => {
  await Promise.all([...open].map((thread) => thread.close()));
};

/**
 * Starts the module at `url` in a worker thread; it must call `serve` with a `T`.
 * Calls are answered in any order. Buffers are copied, unless they are SharedArrayBuffers; a MessagePort among the
 * arguments is handed over: for what the thread says before it answers, and to close, so that it need not answer.
 * A call fails with the error its function threw (name, message, code, cause, `unavailable` and `retriable` kept),
 * or with THREAD_EXITED when the thread dies, or THREAD_CLOSED after `close`.
 *
 * @example
 * const thread = spawn<typeof api>(new URL('./thread.js', import.meta.url), { name: 'policy' });
 * await thread.call.generate(prompt);
 */
export function spawn<T extends Api>(url: URL, options: ThreadOptions): Thread<T> {
  // Native libraries read the environment of the process, which a thread changes only when it shares it.
  const worker = new Worker(url, { name: options.name, workerData: options.data, env: SHARE_ENV });
  const pending = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  let next = 0;
  let ended: Error | undefined;

  const end = (error: Error) => {
    ended ??= error;
    for (const { reject } of pending.values()) reject(ended);
    pending.clear();
    unrefWhenIdle();
  };
  // A thread with nothing to do must not keep the process alive.
  const unrefWhenIdle = () => (pending.size === 0 ? worker.unref() : worker.ref());
  unrefWhenIdle();

  worker.on('message', (reply: Reply) => {
    const caller = pending.get(reply.id);
    pending.delete(reply.id);
    unrefWhenIdle();
    if ('error' in reply) caller?.reject(reviveError(reply.error));
    else caller?.resolve(reply.value);
  });
  const died = new Promise<never>((_, reject) => {
    const exit = (how: string, cause?: unknown) => {
      const error = new ThreadError('THREAD_EXITED', `thread ${options.name} ${how}`, { cause });
      end(error);
      // What happens to a thread that is closed already is its end, and no death.
      if (ended === error) reject(error);
    };
    worker.on('error', (cause) => exit(`died: ${cause.message}`, cause));
    worker.on('exit', (code) => exit(`exited with code ${code}`));
  });
  died.catch(() => {});
  const exited = new Promise<void>((resolve) => {
    worker.once('exit', () => {
      open.delete(thread);
      resolve();
    });
  });
  const close = async () => {
    end(new ThreadError('THREAD_CLOSED', `thread ${options.name} is closed`));
    // The process must not end before the thread has: it would terminate it within native code.
    worker.ref();
    worker.postMessage({ id: next++, method: CLOSE, args: [] } satisfies Call);
    const cut = setTimeout(() => void worker.terminate(), options.patienceMs ?? PATIENCE_MS);
    await exited;
    clearTimeout(cut);
  };
  let closed: Promise<void> | undefined;

  const invoke = (method: string, args: unknown[]) =>
    new Promise<unknown>((resolve, reject) => {
      if (ended) return reject(ended);
      const call: Call = { id: next++, method, args };
      const ports = args.filter((arg) => arg instanceof MessagePort);
      // Throws, and so rejects, when an argument cannot be cloned: nothing is pending then.
      worker.postMessage(call, ports);
      pending.set(call.id, { resolve, reject });
      unrefWhenIdle();
    });

  const thread: Thread<T> = {
    call: new Proxy({} as T, {
      // Not a thenable: `await thread.call` must not become a call.
      get: (_, method) =>
        typeof method === 'string' && method !== 'then'
          ? (...args: unknown[]) => invoke(method, args)
          : undefined,
    }),
    ready: async () => {
      await invoke(READY, []);
    },
    died,
    close: () => {
      closed ??= close();
      return closed;
    },
  };
  open.add(thread);
  return thread;
}
