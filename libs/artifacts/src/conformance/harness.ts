import type { ArtifactRef, ArtifactStore } from '../port.js';

type Kind = 'blob' | 'manifest';

/** An empty store, and ways to change it behind the adapter's back. */
export interface StoreUnderTest {
  /** Opens the store as one more process on another machine does. */
  open(): ArtifactStore;
  /** The hashes of what is stored. */
  list(kind: Kind): Promise<string[]>;
  /** Replaces stored bytes, or stores some where there are none; undefined removes them. */
  tamper(kind: Kind, sha256: string, content: string | undefined): Promise<void>;
  /** Makes everything that is stored older by `ms` milliseconds. */
  age(ms: number): Promise<void>;
  cleanup(): Promise<void>;
}

export interface ConformanceOptions {
  create(): Promise<StoreUnderTest>;
  /** Milliseconds that a test may take. Default 30 s. */
  readonly timeoutMs?: number;
}

/** What the tests of a suite share; each test has a store and a folder of its own. */
export interface Harness {
  readonly underTest: StoreUnderTest;
  /** An empty folder of this machine. */
  readonly folder: string;
  open(): ArtifactStore;
}

export const HOUR_MS = 60 * 60 * 1000;

export const refOf = (sha256: string): ArtifactRef => ({ uri: `artifact:${sha256}`, sha256 });
export const nowhere = refOf('0'.repeat(64));
