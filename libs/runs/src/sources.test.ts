import { describe, expect, it } from 'vitest';
import { parseSource, pathsOf, type Source, type SourceKind, sourceText, withPaths } from './sources.js';

const sha256 = 'a'.repeat(64);

describe('a source', () => {
  it.each<[SourceKind, string, Source]>([
    ['model', 'run:sft', { from: 'run', run: 'sft' }],
    ['model', 'run:ppo@40', { from: 'run', run: 'ppo', version: 40 }],
    ['model', 'run:ppo@best', { from: 'run', run: 'ppo@best' }],
    ['data', 'run:ranked@4', { from: 'run', run: 'ranked@4' }],
    ['model', `artifact:${sha256}`, { from: 'artifact', sha256 }],
    ['model', 'artifact:../x', { from: 'path', path: 'artifact:../x' }],
    [
      'model',
      `adapter:./lora on artifact:${sha256}`,
      { from: 'adapter', adapter: { from: 'path', path: './lora' }, base: { from: 'artifact', sha256 } },
    ],
    [
      'scorer',
      'adapter:on the way on base',
      {
        from: 'adapter',
        adapter: { from: 'path', path: 'on the way' },
        base: { from: 'path', path: 'base' },
      },
    ],
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

  it.each<[SourceKind, string, string[], string]>([
    ['data', 'rows.jsonl', ['rows.jsonl'], '/at/rows.jsonl'],
    ['scorer', 'gold:rows.jsonl', ['rows.jsonl'], 'gold:/at/rows.jsonl'],
    ['scorer', 'gold:bundled', [], 'gold:bundled'],
    ['model', 'adapter:lora on base', ['lora', 'base'], 'adapter:/at/lora on /at/base'],
    ['model', `adapter:lora on artifact:${sha256}`, ['lora'], `adapter:/at/lora on artifact:${sha256}`],
  ])('of a %s that is written %s reads the paths %j, which can be replaced', (kind, text, paths, moved) => {
    const source = parseSource(kind, text);
    expect(pathsOf(source)).toEqual(paths);
    expect(sourceText(withPaths(source, (path) => `/at/${path}`))).toBe(moved);
  });
});
