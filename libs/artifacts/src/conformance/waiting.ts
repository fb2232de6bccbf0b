import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Harness } from './harness.js';

export function waitingTests(harness: Harness): void {
  describe('waiting', () => {
    it('shares one fetch, whose first caller may leave', async () => {
      const ref = await harness.open().putFiles({ a: randomBytes(2_000_000) });
      const store = harness.open();
      const leaving = new AbortController();
      const first = store.fetch(ref, { signal: leaving.signal });
      const second = store.fetch(ref);
      leaving.abort(new Error('left'));
      await expect(first).rejects.toThrow('left');
      await expect(second).resolves.toContain(ref.sha256);
    });

    it('begins anew after everybody left', async () => {
      const ref = await harness.open().putFiles({ a: randomBytes(2_000_000) });
      const store = harness.open();
      const leaving = new AbortController();
      const first = store.fetch(ref, { signal: leaving.signal });
      leaving.abort(new Error('left'));
      await expect(first).rejects.toThrow('left');
      await expect(store.fetch(ref)).resolves.toContain(ref.sha256);
    });

    it('gives up when the time is up', async () => {
      const ref = await harness.open().putFiles({ a: randomBytes(5_000_000) });
      await expect(harness.open().fetch(ref, { timeoutMs: 0 })).rejects.toMatchObject({
        code: 'ARTIFACT_TIMEOUT',
        message: expect.stringContaining(ref.sha256),
      });
    });
  });
}
