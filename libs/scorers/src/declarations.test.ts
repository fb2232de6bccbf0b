import { describe, expect, it } from 'vitest';
import { declarationsIn, readDeclarations } from './declarations.js';
import { JudgeSettings } from './judge-settings.js';

const read = (text: string) => declarationsIn(text, '/etc/rlhf/scorers.yaml');
const said = (text: string): string => {
  try {
    read(text);
    return '';
  } catch (error) {
    expect(error).toMatchObject({ code: 'RUNTIME_SETTINGS' });
    return (error as Error).message;
  }
};

const FILE = `
toxicity:
  url: http://toxicity:9000/score
  token: TOXICITY_TOKEN
house-style: { module: ./house-style.mjs, options: { strict: true } }
gpt:
  judge: { url: https://api.example.com/v1/chat/completions, model: judge-1, price: { input: 1, output: 2 } }
  spending: { usd: 5 }
`;

describe('the file of declarations', () => {
  it('declares scorers by name, with defaults, in YAML or JSON', () => {
    const declared = read(FILE);
    expect([...declared.keys()]).toEqual(['toxicity', 'house-style', 'gpt']);
    expect(declared.get('toxicity')!.declaration).toEqual({
      url: 'http://toxicity:9000/score',
      token: 'TOXICITY_TOKEN',
      timeoutMs: 30_000,
      retries: 3,
      concurrency: 4,
      batchSize: 32,
      cache: true,
    });
    expect(declared.get('house-style')!.declaration).toMatchObject({ module: '/etc/rlhf/house-style.mjs' });
    expect(read('{"a": {"url": "http://a/"}}').size).toBe(1);
  });

  it('is not needed', async () => {
    expect((await readDeclarations(undefined)).size).toBe(0);
    await expect(readDeclarations('/nowhere/scorers.yaml')).rejects.toThrow(
      /\/nowhere\/scorers.yaml, which declares scorers/,
    );
  });

  it.each<[string, string, string]>([
    ['no YAML', 'a: [', 'is no YAML'],
    ['a list', '- a', 'to declare scorers by name'],
    ['a name that no run could write', 'a b: { url: http://a/ }', '"a b": expected a name'],
    ['a declaration of nothing', 'a: 5', 'a: expected one of url, module, judge, got none'],
    ['one of two kinds', 'a: { url: http://a/, module: b }', 'got url and module'],
    ['another protocol', 'a: { url: file:///etc/passwd }', 'a.url: expected an http or https URL'],
    ['a password in the URL', 'a: { url: http://me:secret@a/ }', 'a.url: expected a URL without a password'],
    [
      'a token in place of the name of its variable',
      'a: { url: http://a/, token: sk-1234 }',
      'a.token: expected the name of an environment variable',
    ],
    ['an unknown setting', 'a: { url: http://a/, timeout: 5 }', 'did you mean timeoutMs?'],
    ['a cap that nothing counts', 'a: { url: http://a/, spending: { usd: 5 } }', 'a.spending'],
    [
      'a cap in dollars without a price',
      'a: { judge: { url: http://a/, model: m }, spending: { usd: 5 } }',
      'a.judge.price: expected the price',
    ],
    [
      'a template without what is judged',
      'a: { judge: { url: http://a/, model: m, scoreTemplate: hm } }',
      'expected {{completion}} in it',
    ],
    [
      'a scale upside down',
      'a: { judge: { url: http://a/, model: m, scale: { min: 5, max: 1 } } }',
      'expected min to be below max',
    ],
  ])('is refused with %s', (_, text, message) => {
    expect(said(text)).toContain(message);
  });

  it('tells every mistake, and no secret', () => {
    const message = said('a: { url: http://me:secret@a/ }\nb: {}\nc: { url: http://c/, token: sk-secret }');
    expect(message.split('\n')).toHaveLength(4);
    expect(message).not.toContain('secret');
  });
});

describe('the hash of a declaration', () => {
  const hash = (settings: string) => read(`a: { ${settings} }`).get('a')!.sha256;
  const judge = (settings: string) => hash(`judge: { url: http://a/, model: m${settings} }`);

  it('is of what decides the answers, and of no secret', () => {
    const plain = hash('url: http://a/');
    expect(
      hash(
        'url: http://a/, token: T, timeoutMs: 5, retries: 0, concurrency: 1, batchSize: 1, cache: false, spending: { requests: 1 }',
      ),
    ).toBe(plain);
    expect(hash('url: http://b/')).not.toBe(plain);
    expect(hash("url: http://a/, version: '2'")).not.toBe(plain);
    expect(judge(', price: { input: 1, output: 1 }')).toBe(judge(''));
    expect(judge(', temperature: 1')).not.toBe(judge(''));
    expect(judge(", scoreTemplate: 'Rate {{completion}}'")).not.toBe(judge(''));
  });
});

it('every setting of a judge says what it is for, but those of the endpoint', () => {
  const bare = Object.entries(JudgeSettings.shape).filter(([, schema]) => schema.description === undefined);
  expect(bare.map(([name]) => name)).toEqual(['url', 'temperature']);
});
