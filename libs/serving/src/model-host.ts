/**
 * The models that a service has in memory: each is fetched and loaded once, however many ask, and stays while needed. A base
 * stays while a model on it does.
 */
import { messageOf, RuntimeError } from '@rlhf-streams/bus';
import { type ArtifactRef, type ModelRef, modelKey } from '@rlhf-streams/events';
import type { ModelFolders } from '@rlhf-streams/model';
import type { ServiceContext } from '@rlhf-streams/service';
import { DeadlineError, FOREVER_MS, linked, shareable, withDeadline } from '@rlhf-streams/waiting';
import { modelFolders, type Part } from './model-folders.js';

export interface ModelHost<Model> {
  /**
   * Works with a model, which is loaded first if it is not in memory; it stays there meanwhile. A load that failed is tried again by the next use.
   * @throws RuntimeError RUNTIME_UNAVAILABLE, with its cause, when the artifact could not be fetched or the model was not
   *   loaded in time: the event that needs it is not at fault, and waits; what `load` and `work` throw; the reason of
   *   the service's signal.
   */
  use<T>(ref: ModelRef, work: (model: Model) => Promise<T>): Promise<T>;
  /** Pins a model until it is released, or `signal` aborts. */
  pin(ref: ModelRef, signal: AbortSignal): Pin<Model>;
}

export interface Pin<Model> {
  /** Resolves when the model is in memory. @throws as `use` does; an AbortError when it is released before. */
  readonly loaded: Promise<void>;
  /** Works with the model, which stays in memory until `work` is done, whether it is released meanwhile or not. */
  use<T>(work: (model: Model) => Promise<T>): Promise<T>;
  release(): void;
}

export interface ModelHostOptions<Model> {
  /** What the models are, for errors and the readiness check: `reference`. */
  readonly what: string;
  /** Makes the model from its files, whose hashes were verified. Each load has a `key` of its own. */
  readonly load: (files: ModelFiles) => Promise<Model>;
  /** Frees the memory that the load with this key took, also when it failed half-way. Called after that load has ended. */
  readonly unload?: (key: string) => Promise<void>;
  /**
   * Whether a run that goes on names the model: it stays in memory, and /readyz tells why it cannot be had.
   * Default: none is wanted for itself.
   */
  readonly isWanted?: (ref: ModelRef) => boolean;
  /** Milliseconds that fetching and loading may take together. Default two minutes for fetching, no limit for loading. */
  readonly timeoutMs?: number;
}

export interface ModelFiles {
  readonly key: string;
  readonly ref: ModelRef;
  readonly folders: ModelFolders;
}

/** Models used last stay in memory though nobody needs them: a client that asked over HTTP may ask again. */
const KEPT_UNWANTED = 2;
const FETCH_TIMEOUT_MS = 120_000;

interface Entry<Model> {
  readonly ref: ModelRef;
  readonly key: string;
  readonly model: Promise<Model>;
  /** Gives up the load, if it is under way. */
  readonly abandon: () => void;
  /** Resolves when the load has ended, which may be after it was given up. */
  readonly ended: Promise<void>;
  /** Uses under way, and pins. */
  users: number;
  wasUsed: boolean;
}

export function createModelHost<Model>(
  context: Pick<ServiceContext, 'artifacts' | 'readiness' | 'signal' | 'fail'>,
  options: ModelHostOptions<Model>,
): ModelHost<Model> {
  const { artifacts, readiness, signal: stopping, fail } = context;
  const { what, load, unload, isWanted, timeoutMs = FOREVER_MS } = options;
  const fetchTimeoutMs = options.timeoutMs === undefined ? FETCH_TIMEOUT_MS : FOREVER_MS;
  /** Models by `modelKey`, the least recently used first. */
  const entries = new Map<string, Entry<Model>>();
  const failures = new Map<string, { readonly ref: ModelRef; readonly message: string }>();
  let loads = 0;

  if (isWanted) {
    readiness.check(`${what}s`, () => {
      const missing = [...failures.values()].filter(({ ref }) => isWanted(ref));
      return missing.length === 0 || missing.map(({ message }) => message).join('; ');
    });
  }

  const attempt = async (ref: ModelRef, key: string, signal: AbortSignal): Promise<Model> => {
    const fetch = async (artifact: ArtifactRef, part?: Part) => {
      try {
        return await artifacts.fetch(artifact, { timeoutMs: fetchTimeoutMs, signal });
      } catch (cause) {
        signal.throwIfAborted();
        throw unavailable(
          `expected ${part ? `the ${part} of ` : ''}${what} ${modelKey(ref)} to be fetched: ${messageOf(cause)}`,
          cause,
        );
      }
    };
    const folders = await modelFolders(ref, fetch);
    signal.throwIfAborted();
    return load({ key, ref, folders });
  };

  const begin = (ref: ModelRef): Entry<Model> => {
    const name = modelKey(ref);
    const key = `${name}#${loads++}`;
    const abandoned = new AbortController();
    const either = linked(stopping, abandoned.signal);
    let work = Promise.resolve() as Promise<unknown>;
    const late = () => {
      const cause = new DeadlineError(`expected ${what} ${name} to be loaded within ${timeoutMs} ms`);
      return unavailable(cause.message, cause);
    };
    const model = withDeadline(
      (signal) => {
        const loading = attempt(ref, key, signal);
        work = loading;
        return loading;
      },
      { ms: timeoutMs, late, signal: either.signal },
    );
    const entry: Entry<Model> = {
      ref,
      key,
      model,
      abandon: () => abandoned.abort(),
      ended: model.catch(() => work).then(noop, noop),
      users: 0,
      wasUsed: false,
    };
    model.then(
      () => failures.delete(name),
      (error) => {
        if (entries.get(name) !== entry) return;
        failures.set(name, { ref, message: messageOf(error) });
        drop(entry);
      },
    );
    entry.ended.then(either.release);
    return entry;
  };

  const drop = (entry: Entry<Model>) => {
    entries.delete(modelKey(entry.ref));
    entry.abandon();
    entry.ended
      .then(() => unload?.(entry.key))
      .catch((error) => {
        if (!stopping.aborted) fail(error);
      });
  };

  const dropUnwanted = () => {
    const unwanted = [...entries.values()].filter(({ ref, users }) => users === 0 && !isWanted?.(ref));
    const kept = new Set(unwanted.filter(({ wasUsed }) => wasUsed).slice(-KEPT_UNWANTED));
    for (const entry of unwanted) if (!kept.has(entry)) drop(entry);
  };

  const take = (ref: ModelRef): Entry<Model> => {
    const name = modelKey(ref);
    const entry = entries.get(name) ?? begin(ref);
    entries.delete(name);
    entries.set(name, entry);
    entry.users++;
    return entry;
  };
  const leave = (entry: Entry<Model>) => {
    entry.users--;
    dropUnwanted();
  };

  return {
    async use(ref, work) {
      const entry = take(ref);
      entry.wasUsed = true;
      try {
        return await work(await entry.model);
      } finally {
        leave(entry);
      }
    },
    pin(ref, signal) {
      const entry = take(ref);
      let released = false;
      const release = () => {
        if (released) return;
        released = true;
        signal.removeEventListener('abort', release);
        leave(entry);
      };
      shareable(signal).addEventListener('abort', release, { once: true });
      if (signal.aborted) release();
      const loaded = entry.model.then(noop);
      // Those who wait for the load get its error.
      loaded.catch(noop);
      return {
        loaded,
        async use(work) {
          entry.users++;
          try {
            return await work(await entry.model);
          } finally {
            leave(entry);
          }
        },
        release,
      };
    },
  };
}

const unavailable = (message: string, cause: unknown) =>
  new RuntimeError('RUNTIME_UNAVAILABLE', message, { cause });

const noop = () => {};
