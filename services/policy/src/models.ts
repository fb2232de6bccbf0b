/** Models in the memory of the compute threads: each thread has them all, and takes its share of the sequences. */
import { setMaxListeners } from 'node:events';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { type ServiceContext, startThread } from '@rlhf-streams/service';
import type { Piece, PlacedToken } from './completion-text.js';
import type {
  Completed,
  CompletionWork,
  Encoded,
  JudgeWork,
  PolicyThread,
  Sampled,
  ThreadOptions,
  Work,
} from './thread.js';

/** Somebody who waits for a completion. */
export interface Reader {
  /** Told of what is certain, as it comes; the rest comes with the whole. */
  readonly onPiece?: (piece: Piece) => void;
  /** Aborted when nobody waits any more: then it is not generated on, and fails with MODEL_GENERATION_ABORTED. */
  readonly signal: AbortSignal;
}

export interface Models {
  /** Reads the model in a folder and keeps it under `key`. */
  load(key: string, directory: string): Promise<void>;
  unload(key: string): Promise<void>;
  generate(key: string, work: Work): Promise<Sampled>;
  complete(key: string, work: CompletionWork, reader: Reader): Promise<Completed>;
  judge(key: string, work: JudgeWork, reader: Pick<Reader, 'signal'>): Promise<readonly PlacedToken[]>;
  encode(key: string, prompts: readonly (string | readonly number[])[]): Promise<Encoded>;
}

/** Resolves when all threads can compute. */
export async function createModels(
  context: Pick<ServiceContext, 'fail' | 'onStop'>,
  { threads: count, ...data }: ThreadOptions & { readonly threads: number },
): Promise<Models> {
  const start = async (name: string) => {
    const url = new URL('./thread.js', import.meta.url);
    return { call: await startThread<PolicyThread>(context, url, { name, data }), pending: 0 };
  };
  const threads = await Promise.all(Array.from({ length: count }, (_, i) => start(`policy-${i}`)));
  /** Gives work to the thread that has the least. */
  const share = async <T>(work: (call: PolicyThread) => Promise<T>): Promise<T> => {
    const least = threads.reduce((a, b) => (b.pending < a.pending ? b : a));
    least.pending++;
    try {
      return await work(least.call);
    } finally {
      least.pending--;
    }
  };
  return {
    load: async (key, directory) => {
      await Promise.all(threads.map(({ call }) => call.load(key, directory)));
    },
    unload: async (key) => {
      await Promise.all(threads.map(({ call }) => call.unload(key)));
    },
    generate: (key, work) => share((call) => call.generate(key, work)),
    complete: (key, work, { onPiece, signal }) =>
      share((call) => listening(signal, onPiece, (port) => call.complete(key, work, port))),
    judge: (key, work, { signal }) =>
      share((call) => listening(signal, undefined, (port) => call.judge(key, work, port))),
    encode: (key, prompts) => threads[0]!.call.encode(key, prompts),
  };
}

/** Gives work a port where it speaks to `onPiece`, as far as that is heard before the work is done or nobody waits any more. */
async function listening<T>(
  signal: AbortSignal,
  onPiece: Reader['onPiece'],
  work: (port: MessagePort) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  // All completions of a request listen to its signal: that many listeners are no leak.
  setMaxListeners(0, signal);
  const { port1: reading, port2: telling } = new MessageChannel();
  if (onPiece) reading.on('message', onPiece);
  const leave = () => {
    // What comes later is in the whole answer: told twice it would be wrong.
    reading.removeAllListeners('message');
    reading.close();
  };
  signal.addEventListener('abort', leave, { once: true });
  try {
    return await work(telling);
  } finally {
    signal.removeEventListener('abort', leave);
    leave();
  }
}
