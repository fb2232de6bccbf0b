import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { checkNames, parseManifest, serialiseManifest, sha256Of } from './manifest.js';

it('orders names by code unit, integer-like ones too', () => {
  const entry = { sha256: 'f'.repeat(64), size: 1 };
  const names = ['b', '10', 'a', '9', '__proto__', 'B'];
  const written = serialiseManifest(new Map(names.map((name) => [name, entry]))).toString();
  expect([...written.matchAll(/"([^"]+)":\{/g)].map((match) => match[1])).toEqual([
    '10',
    '9',
    'B',
    '__proto__',
    'a',
    'b',
  ]);
});

it('accepts only names that stay inside their folder', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('.', '/', '\\', 'a', ':', '\0', 'é') }), (name) => {
      try {
        checkNames([name]);
      } catch {
        return;
      }
      expect(join('/store/artifact', name).startsWith('/store/artifact/')).toBe(true);
    }),
  );
});

it('of a format that only a newer build knows is refused, as that', () => {
  const json = JSON.stringify({ '': { format: 2 }, 'a.bin': { chunks: [] } });
  expect(() => parseManifest(Buffer.from(json), sha256Of(json))).toThrow(
    expect.objectContaining({
      code: 'ARTIFACT_TOO_NEW',
      message: expect.stringMatching(/format 1, got {"format":2}, .*upgrade/),
    }),
  );
});
