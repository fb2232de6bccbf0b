/** What a service holds in memory of artifacts that events name: each loaded once, for as long as a run needs it. */
import type { ArtifactRef } from '@rlhf-streams/artifacts';
import { messageOf, RuntimeError } from '@rlhf-streams/bus';
import type { ServiceContext } from '@rlhf-streams/service';

export interface LoadedArtifacts<Loaded> {
  /**
   * Works with what an artifact holds, loaded now if it is not yet; it stays in memory meanwhile.
   * @throws RuntimeError RUNTIME_UNAVAILABLE while the artifact cannot be fetched: no fault of the event that needs it,
   * which is handled again until it can; what `load` and `work` throw.
   */
  use<T>(artifact: ArtifactRef, work: (loaded: Loaded) => Promise<T>): Promise<T>;
}

export interface LoadArtifactsOptions<Loaded> {
  /** What they are, for errors and the readiness check: `reference`. */
  readonly what: string;
  readonly load: (artifact: ArtifactRef, directory: string) => Promise<Loaded>;
  readonly unload: (artifact: ArtifactRef) => Promise<void>;
  /** Whether a run that goes on names it. */
  readonly isWanted: (artifact: ArtifactRef) => boolean;
}

interface Entry<Loaded> {
  readonly artifact: ArtifactRef;
  readonly loaded: Promise<Loaded>;
  users: number;
}

/** Those that no run needs any more and that were used last: somebody may still ask for them. */
const KEPT_UNWANTED = 2;
const FETCH_TIMEOUT_MS = 120_000;

/** /readyz names those that a run needs and that cannot be fetched or loaded, until they can. */
export function loadArtifacts<Loaded>(
  { artifacts, readiness, signal, fail }: Pick<ServiceContext, 'artifacts' | 'readiness' | 'signal' | 'fail'>,
  { what, load, unload, isWanted }: LoadArtifactsOptions<Loaded>,
): LoadedArtifacts<Loaded> {
  /** By sha256; what was used last is the last. */
  const entries = new Map<string, Entry<Loaded>>();
  const failures = new Map<string, { readonly artifact: ArtifactRef; readonly message: string }>();

  readiness.check(`${what}s`, () => {
    const missing = [...failures.values()].filter(({ artifact }) => isWanted(artifact));
    return missing.length === 0 || missing.map(({ message }) => message).join('; ');
  });

  const fetch = async (artifact: ArtifactRef): Promise<string> => {
    try {
      return await artifacts.fetch(artifact, { timeoutMs: FETCH_TIMEOUT_MS, signal });
    } catch (cause) {
      signal.throwIfAborted();
      const message = `expected ${what} ${artifact.sha256} to be fetched: ${messageOf(cause)}`;
      throw new RuntimeError('RUNTIME_UNAVAILABLE', message, { cause });
    }
  };

  const begin = (artifact: ArtifactRef): Entry<Loaded> => {
    const loaded = fetch(artifact).then((directory) => load(artifact, directory));
    const entry = { artifact, loaded, users: 0 };
    loaded.then(
      () => failures.delete(artifact.sha256),
      (error) => {
        failures.set(artifact.sha256, { artifact, message: messageOf(error) });
        if (entries.get(artifact.sha256) === entry) entries.delete(artifact.sha256);
      },
    );
    return entry;
  };

  const dropUnwanted = () => {
    const unwanted = [...entries.values()].filter(
      ({ artifact, users }) => users === 0 && !isWanted(artifact),
    );
    for (const { artifact } of unwanted.slice(0, -KEPT_UNWANTED)) {
      entries.delete(artifact.sha256);
      unload(artifact).catch((error) => {
        if (!signal.aborted) fail(error);
      });
    }
  };

  return {
    async use(artifact, work) {
      const known = entries.get(artifact.sha256);
      const entry = known ?? begin(artifact);
      entries.delete(artifact.sha256);
      entries.set(artifact.sha256, entry);
      entry.users++;
      if (!known) dropUnwanted();
      try {
        return await work(await entry.loaded);
      } finally {
        entry.users--;
      }
    },
  };
}
