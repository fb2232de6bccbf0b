import fc from 'fast-check';
import { expect, it } from 'vitest';
import { newestVersions, type PublishedVersion } from './versions.js';

const version = (run: string, version: number): PublishedVersion => ({
  run,
  version,
  step: version,
  model: { base: { uri: 'artifact:a', sha256: 'a'.repeat(64) } },
});

it('the newest version of each run is found in whatever order they come, also again', async () => {
  const published = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.nat({ max: 20 })));
  await fc.assert(
    fc.asyncProperty(published, async (published) => {
      const events = (async function* () {
        for (const [run, number] of published) yield { data: version(run, number) };
      })();
      const newest = await newestVersions(events);
      for (const run of ['a', 'b', 'c']) {
        const numbers = published.filter(([name]) => name === run).map(([, number]) => number);
        expect(newest.get(run)).toEqual(numbers.length > 0 ? version(run, Math.max(...numbers)) : undefined);
      }
    }),
  );
});
