/**
 * The port every adapter implements: folders of files, addressed by the SHA-256 of their content.
 * An artifact never changes; whoever holds its reference can prove that what arrived is what was meant.
 */

/** Names an artifact: `sha256` is that of its manifest, `uri` says where an adapter may look for it. */
export interface ArtifactRef {
  readonly uri: string;
  readonly sha256: string;
}

export interface FetchOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds until ARTIFACT_TIMEOUT. Default ten minutes. */
  readonly timeoutMs?: number;
}

export interface PutOptions {
  readonly signal?: AbortSignal;
}

export interface CollectOptions {
  /**
   * Milliseconds for which what was written stays, whether it is live or not: longer than the longest put, and than any
   * wait between a put and the announcement of its reference. An adapter may keep files for longer. Default one hour.
   */
  readonly graceMs?: number;
  /** Only counts what would be removed. Default false. */
  readonly dryRun?: boolean;
}

/** What a collection removed, or would; `bytes` are those of the blobs. */
export interface Collected {
  readonly artifacts: number;
  readonly blobs: number;
  readonly bytes: number;
}

export interface ArtifactStore {
  /**
   * Stores the files of a folder and of its subfolders, streaming. Links to files are followed; empty folders are
   * not kept. When it resolves, the artifact is durable; a put that is killed leaves nothing that readers can see.
   * @throws ArtifactError ARTIFACT_BAD_NAME (also for what is neither file nor folder), ARTIFACT_EMPTY,
   * ARTIFACT_NOT_FOUND when there is no such folder; an AbortError, or the signal's reason.
   */
  putDirectory(directory: string, options?: PutOptions): Promise<ArtifactRef>;
  /**
   * Stores files given by name and content; `/` in a name makes folders.
   * @throws ArtifactError ARTIFACT_BAD_NAME, ARTIFACT_EMPTY.
   */
  putFiles(files: Readonly<Record<string, Uint8Array | string>>): Promise<ArtifactRef>;
  /**
   * A local folder that holds the artifact's files, not to be written to. Every file's SHA-256 was verified, once
   * a process; concurrent fetches of one artifact share the work.
   * @throws ArtifactError ARTIFACT_NOT_FOUND, ARTIFACT_CORRUPT, ARTIFACT_TIMEOUT, ARTIFACT_BAD_REF; the signal's reason.
   */
  fetch(ref: ArtifactRef, options?: FetchOptions): Promise<string>;
  /**
   * Makes `directory` a plain folder of the artifact's files, which the caller owns, in place of what is there.
   * Readers of `directory` find the old content, or nothing for an instant, or the new; never a part.
   * @throws as `fetch` does.
   */
  materialise(ref: ArtifactRef, directory: string, options?: FetchOptions): Promise<void>;
  /** Whether the artifact is here, whole; its bytes are not verified. */
  has(ref: ArtifactRef): Promise<boolean>;
  /** Forgets the artifact; its blobs go with the next `collect`, unless others name them. */
  remove(ref: ArtifactRef): Promise<void>;
  /**
   * Removes what no live reference names and what crashes left behind.
   * @throws ArtifactError ARTIFACT_CORRUPT when a manifest that stays cannot be read: nothing is removed then.
   */
  collect(live: Iterable<ArtifactRef>, options?: CollectOptions): Promise<Collected>;
}
