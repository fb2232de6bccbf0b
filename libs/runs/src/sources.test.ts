import { describe, expect, it } from 'vitest';
import { parseSource, pathOf, type Source, type SourceKind, sourceText, withPath } from './sources.js';

const sha256 = 'a'.repeat(64);

describe('a source', () => {
  it.each<[SourceKind, string, Source]>([
    ['model', 'run:sft', { from: 'run', run: 'sft' }],
    ['model', 'run:ppo@40', { from: 'run', run: 'ppo', version: 40 }],
    ['model', 'run:ppo@best', { from: 'run', run: 'ppo@best' }],
    ['data', 'run:ranked@4', { from: 'run', run: 'ranked@4' }],
    ['model', `artifact:${sha256}`, { from: 'artifact', sha256 }],
    ['model', 'artifact:../x', { from: 'path', path: 'artifact:../x' }],
    ['model', 'bundled', { from: 'path', path: 'bundled' }],
    ['model', 'gold:bundled', { from: 'path', path: 'gold:bundled' }],
    ['data', 'bundled', { from: 'bundled' }],
    ['data', 'run:ranked', { from: 'run', run: 'ranked' }],
    ['data', 'feedback:thumbs', { from: 'feedback', collection: 'thumbs' }],
    ['data', `artifact:${sha256}`, { from: 'path', path: `artifact:${sha256}` }],
    ['scorer', 'run:rm', { from: 'run', run: 'rm' }],
    ['scorer', `artifact:${sha256}`, { from: 'artifact', sha256 }],
    ['scorer', 'gold:bundled', { from: 'gold', data: { from: 'bundled' } }],
    ['scorer', 'gold:rows.jsonl', { from: 'gold', data: { from: 'path', path: 'rows.jsonl' } }],
    ['scorer', 'gold:gold:a', { from: 'gold', data: { from: 'path', path: 'gold:a' } }],
    ['scorer', '/models/rm', { from: 'path', path: '/models/rm' }],
  ])('of a %s that is written %s is parsed, and written again', (kind, text, source) => {
    expect(parseSource(kind, text)).toEqual(source);
    expect(sourceText(source)).toBe(text);
  });

  it('may read a path, which can be replaced where it stands', () => {
    for (const [kind, text, moved] of [
      ['data', 'rows.jsonl', '/data/rows.jsonl'],
      ['scorer', 'gold:rows.jsonl', 'gold:/data/rows.jsonl'],
    ] as const) {
      const source = parseSource(kind, text);
      expect(pathOf(source)).toBe('rows.jsonl');
      expect(sourceText(withPath(source, '/data/rows.jsonl'))).toBe(moved);
    }
    expect(pathOf(parseSource('scorer', 'gold:bundled'))).toBeUndefined();
  });
});
