/** Policies in the memory of compute threads, by artifact: each thread has them all, and takes its share of the sequences. */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { ServiceContext } from '@rlhf-streams/service';
import {
  type ComputeSettings,
  createModelHost,
  type ModelHost,
  startComputeThreads,
} from '@rlhf-streams/serving';
import { shareable } from '@rlhf-streams/waiting';
import type { Piece, PlacedToken } from './completion-text.js';
import type {
  Completed,
  CompletionWork,
  Encoded,
  JudgeWork,
  PolicyOptions,
  PolicyThread,
  Prompt,
  Sampled,
  Work,
} from './thread.js';

/** Somebody who waits for a completion. */
export interface Reader {
  /** Called with each piece of the text as soon as it is certain; what is left of the text comes with the result. */
  readonly onPiece?: (piece: Piece) => void;
  /** Aborted when the reader has left: generation stops, and fails with MODEL_GENERATION_ABORTED. */
  readonly signal: AbortSignal;
}

/** A policy in memory. Each function is documented where it computes: under the same name in `thread.ts`. */
export interface PolicyModel {
  readonly generate: (work: Work) => Promise<Sampled>;
  readonly complete: (work: CompletionWork, reader: Reader) => Promise<Completed>;
  readonly judge: (work: JudgeWork, reader: Pick<Reader, 'signal'>) => Promise<readonly PlacedToken[]>;
  readonly encode: (prompts: readonly Prompt[]) => Promise<Encoded>;
}

export interface PolicyHostOptions extends PolicyOptions {
  readonly threads: number;
  /** Milliseconds that fetching and loading a policy may take. */
  readonly timeoutMs: number;
}

/** The policies in memory. A model can be in both hosts, which load it differently. */
export interface PolicyHosts {
  /** Versions of models that are trained whole: each is read, and takes the place of the one before it. */
  readonly versions: ModelHost<PolicyModel>;
  /** Models that nobody changes, and adapters, with bases that lie in memory once. */
  readonly frozen: ModelHost<PolicyModel>;
}

/** Resolves when all threads can compute. */
export async function createPolicyHosts(
  context: Pick<
    ServiceContext<ComputeSettings>,
    'name' | 'settings' | 'weightCache' | 'artifacts' | 'readiness' | 'signal' | 'fail' | 'onStop'
  >,
  { threads: count, timeoutMs, slots }: PolicyHostOptions,
): Promise<PolicyHosts> {
  const url = new URL('./thread.js', import.meta.url);
  const data: PolicyOptions = { slots };
  const threads = await startComputeThreads<PolicyThread>(context, url, { count, data });
  const { compute, unload } = threads;
  const hostOf = (frozen: boolean) => {
    const named = (key: string) => `${frozen ? 'frozen' : 'version'} ${key}`;
    return createModelHost<PolicyModel>(context, {
      what: 'policy',
      async load({ key: load, ref, folders }) {
        const key = named(load);
        await threads.load({ key, folders, baseHash: ref.base.sha256, frozen });
        return {
          generate: (work) => compute((thread) => thread.generate(key, work)),
          complete: (work, { onPiece, signal }) =>
            compute((thread) => listening(signal, onPiece, (port) => thread.complete(key, work, port))),
          judge: (work, { signal }) =>
            compute((thread) => listening(signal, undefined, (port) => thread.judge(key, work, port))),
          encode: (prompts) => compute((thread) => thread.encode(key, prompts)),
        };
      },
      unload: (load) => unload(named(load)),
      timeoutMs,
    });
  };
  return { versions: hostOf(false), frozen: hostOf(true) };
}

/** Gives work a port to send pieces through, until the work is done or the reader has left; the work learns by its closing. */
async function listening<T>(
  signal: AbortSignal,
  onPiece: Reader['onPiece'],
  work: (port: MessagePort) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const { port1: reading, port2: telling } = new MessageChannel();
  if (onPiece) reading.on('message', onPiece);
  const leave = () => {
    // The result holds the pieces that are still on their way: the reader must not get them twice.
    reading.removeAllListeners('message');
    reading.close();
  };
  // All completions of a request listen to its signal.
  shareable(signal).addEventListener('abort', leave, { once: true });
  try {
    return await work(telling);
  } finally {
    signal.removeEventListener('abort', leave);
    leave();
  }
}
