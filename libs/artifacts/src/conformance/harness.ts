import type { ArtifactRef, ArtifactStore } from '../port.js';

type Kind = 'blob' | 'manifest';

/** Somewhere empty to put artifacts, and ways behind the adapter's back. */
export interface StoreUnderTest {
  /** The artifacts as one more process, of another machine, opens them. */
  open(): ArtifactStore;
  /** The hashes of what is stored. */
  list(kind: Kind): Promise<string[]>;
  /** Puts other bytes in the place of what is stored, or where nothing is; removes it where they are undefined. */
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
