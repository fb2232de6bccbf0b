import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256Of } from '../manifest.js';
import type { ArtifactRef } from '../port.js';
import { type Harness, HOUR_MS, nowhere } from './harness.js';

export function collectingTests(harness: Harness): void {
  describe('collect', () => {
    it('removes what no live reference names, and only that', async () => {
      const store = harness.open();
      const live = await store.putFiles({ shared: 'shared', mine: 'live' });
      const dead = await store.putFiles({ shared: 'shared', mine: 'dead' });
      await store.fetch(dead);

      expect(await store.collect([live, nowhere], { graceMs: 0 })).toEqual({
        artifacts: 1,
        blobs: 1,
        bytes: 4,
      });

      expect(await store.has(dead)).toBe(false);
      await expect(store.fetch(dead)).rejects.toMatchObject({ code: 'ARTIFACT_NOT_FOUND' });
      expect((await harness.underTest.list('blob')).sort()).toEqual(['live', 'shared'].map(sha256Of).sort());
      expect(await readFile(join(await harness.open().fetch(live), 'shared'), 'utf8')).toBe('shared');
    });

    it('only tells what would go when that is asked', async () => {
      const store = harness.open();
      const live = await store.putFiles({ shared: 'shared', mine: 'live' });
      const dead = await store.putFiles({ shared: 'shared', mine: 'dead' });
      const told = await store.collect([live], { graceMs: 0, dryRun: true });
      expect(told).toEqual({ artifacts: 1, blobs: 1, bytes: 4 });
      expect(await readFile(join(await store.fetch(dead), 'mine'), 'utf8')).toBe('dead');
      expect(await store.collect([live], { graceMs: 0 })).toEqual(told);
    });

    it('spares what is younger than the grace period', async () => {
      const old = await harness.open().putFiles({ a: 'old', shared: 'shared' });
      await harness.underTest.age(2 * HOUR_MS);
      const young = await harness.open().putFiles({ a: 'young', shared: 'shared' });
      expect(await harness.open().collect([])).toMatchObject({ artifacts: 1 });
      expect(await harness.open().has(old)).toBe(false);
      await expect(harness.open().fetch(young)).resolves.toBeDefined();
    });

    it('makes blobs young again when they are put again', async () => {
      await harness.open().putFiles({ a: 'content' });
      await harness.underTest.age(2 * HOUR_MS);
      const again = await harness.open().putFiles({ b: 'content' });
      await harness.open().collect([]);
      await expect(harness.open().fetch(again)).resolves.toBeDefined();
    });

    it('makes artifacts young again when they are put again', async () => {
      const ref = await harness.open().putFiles({ a: 'content' });
      await harness.underTest.age(2 * HOUR_MS);
      await harness.open().putFiles({ a: 'content' });
      expect(await harness.open().collect([])).toMatchObject({ artifacts: 0 });
      await expect(harness.open().fetch(ref)).resolves.toBeDefined();
    });

    it('removes nothing when a manifest that stays cannot be read', async () => {
      const live = await harness.open().putFiles({ a: 'live' });
      const dead = await harness.open().putFiles({ a: 'dead' });
      await harness.underTest.tamper('manifest', live.sha256, 'garbage');
      await expect(harness.open().collect([live], { graceMs: 0 })).rejects.toMatchObject({
        code: 'ARTIFACT_CORRUPT',
      });
      expect(await harness.open().has(dead)).toBe(true);
      expect(await harness.underTest.list('blob')).toHaveLength(2);
    });

    it('never loses what is live, whatever is put, removed and collected, when', async () => {
      const files = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('1', '2', '3', '4'), {
        minKeys: 1,
      });
      const step = fc.oneof(
        fc.record({ put: files }),
        fc.record({ ageMinutes: fc.constantFrom(11, 23, 41, 70) }),
        fc.record({ collect: fc.infiniteStream(fc.boolean()) }),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 8 }), async (steps) => {
          const store = harness.open();
          await store.collect([], { graceMs: 0 });
          /** Each artifact with the minutes since it was last put: never exactly 60, which is the grace period. */
          const known = new Map<ArtifactRef['sha256'], { ref: ArtifactRef; age: number }>();
          for (const step of steps) {
            if ('put' in step) {
              const ref = await store.putFiles(step.put);
              known.set(ref.sha256, { ref, age: 0 });
            } else if ('ageMinutes' in step) {
              await harness.underTest.age(step.ageMinutes * 60_000);
              for (const artifact of known.values()) artifact.age += step.ageMinutes;
            } else {
              const live = [...known.values()].filter(() => step.collect.next().value);
              await store.collect(live.map(({ ref }) => ref));
              for (const { ref, age } of known.values())
                if (age >= 60 && !live.some((one) => one.ref.sha256 === ref.sha256)) known.delete(ref.sha256);
            }
          }
          expect((await harness.underTest.list('manifest')).sort()).toEqual([...known.keys()].sort());
          const elsewhere = harness.open();
          for (const { ref } of known.values()) await elsewhere.fetch(ref);
        }),
        { numRuns: 12 },
      );
    });
  });
}
