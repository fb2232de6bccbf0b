import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe } from 'vitest';
import { collectingTests } from './collecting.js';
import { doorTests } from './door.js';
import type { ConformanceOptions, Harness, StoreUnderTest } from './harness.js';
import { materialisingTests } from './materialising.js';
import { puttingTests } from './putting.js';
import { verificationTests } from './verification.js';
import { waitingTests } from './waiting.js';

export type { ConformanceOptions, StoreUnderTest } from './harness.js';

/** What every adapter of the port must do, as a vitest suite. */
export function artifactConformance(name: string, { create, timeoutMs = 30_000 }: ConformanceOptions): void {
  describe(`conformance of ${name} artifacts`, { timeout: timeoutMs }, () => {
    let underTest: StoreUnderTest;
    let folder: string;

    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'artifacts-'));
      underTest = await create();
    }, timeoutMs);

    afterEach(async () => {
      await underTest?.cleanup();
      await rm(folder, { recursive: true, force: true });
    }, timeoutMs);

    const harness: Harness = {
      get underTest() {
        return underTest;
      },
      get folder() {
        return folder;
      },
      open: () => underTest.open(),
    };

    puttingTests(harness);
    verificationTests(harness);
    waitingTests(harness);
    doorTests(harness);
    materialisingTests(harness);
    collectingTests(harness);
  });
}
