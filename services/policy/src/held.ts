/** A policy version in memory for as long as somebody uses it. */

import type { PublishedVersion } from '@rlhf-streams/runs';
import { withDeadline } from '@rlhf-streams/waiting';
import type { PlacedToken } from './completion-text.js';
import type { Models, Reader } from './models.js';
import type { Completed, CompletionWork, Encoded, JudgeWork, Sampled, Work } from './thread.js';

/** A version that can be sampled from. */
export interface LoadedPolicy {
  readonly version: number;
  generate(work: Work): Promise<Sampled>;
  complete(work: CompletionWork, reader: Reader): Promise<Completed>;
  judge(work: JudgeWork, reader: Pick<Reader, 'signal'>): Promise<readonly PlacedToken[]>;
  encode(prompts: readonly (string | readonly number[])[]): Promise<Encoded>;
}

export interface Held {
  readonly version: number;
  /**
   * Resolves when it is fetched, verified and in memory.
   * @throws what the artifact store or the model's files threw; RUNTIME_DEADLINE; the signal's reason.
   */
  readonly loaded: Promise<void>;
  /** Keeps it in memory, once it is loaded, until `work` is done. Not to be called once it is retired. */
  use<T>(work: (policy: LoadedPolicy) => Promise<T>): Promise<T>;
  /** Frees its memory when its last user is done. */
  retire(): void;
}

export interface HoldOptions {
  readonly models: Models;
  /** The folder of the version's artifact, verified. */
  readonly fetch: (policy: PublishedVersion, signal: AbortSignal) => Promise<string>;
  /** Milliseconds that fetching and loading may take. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Told when the memory could not be freed. */
  readonly onError: (error: unknown) => void;
}

let count = 0;

export function hold(policy: PublishedVersion, options: HoldOptions): Held {
  const { run, version } = policy;
  const { models, fetch, timeoutMs, signal, onError } = options;
  // A version may be loaded again while its last users are not done with it.
  const key = `${run}@${version}#${count++}`;
  let loading = Promise.resolve();
  let users = 0;
  let retired = false;

  const load = (deadline: AbortSignal) => {
    loading = fetch(policy, deadline).then((directory) => models.load(key, directory));
    return loading;
  };
  const loaded = withDeadline(load, {
    ms: timeoutMs,
    late: `version ${version} of run ${run} to be loaded`,
    signal,
  });
  // Whoever uses it is told.
  loaded.catch(() => {});

  const freeIfUnused = () => {
    if (!retired || users > 0) return;
    const ended = loading.catch(() => {});
    ended.then(() => models.unload(key)).catch(onError);
  };
  const loadedPolicy: LoadedPolicy = {
    version,
    generate: (work) => models.generate(key, work),
    complete: (work, reader) => models.complete(key, work, reader),
    judge: (work, reader) => models.judge(key, work, reader),
    encode: (prompts) => models.encode(key, prompts),
  };
  return {
    version,
    loaded,
    async use(work) {
      users++;
      try {
        await loaded;
        return await work(loadedPolicy);
      } finally {
        users--;
        freeIfUnused();
      }
    },
    retire() {
      if (retired) return;
      retired = true;
      freeIfUnused();
    },
  };
}
