/** The declared scorers of a service, of every kind: asked in batches, remembered, capped. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ScorerItem } from './answer.js';
import { type DeclaredScorers, openScorers } from './declared.js';
import {
  type Asked,
  chat,
  lengths,
  type ScorerServer,
  startScorerServer,
} from './scorer-server.test.support.js';

const lengthsModule = fileURLToPath(new URL('../fixtures/lengths.mjs', import.meta.url));
const CANARY = 'canary-token-77aa';

let folder: string;
let server: ScorerServer;
let scorers: DeclaredScorers | undefined;
beforeAll(async () => {
  server = await startScorerServer();
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'scorers-'));
  server.asked.length = 0;
});
afterEach(async () => {
  await scorers?.close();
  scorers = undefined;
  await rm(folder, { recursive: true });
});
afterAll(() => server.close());

async function declare(declarations: object): Promise<DeclaredScorers> {
  await scorers?.close();
  const file = join(folder, 'scorers.json');
  await writeFile(file, JSON.stringify(declarations));
  scorers = await openScorers({ file, environment: { TOKEN: CANARY }, directory: folder });
  return scorers;
}
const http = (more: object = {}) => ({ url: server.url, retries: 0, ...more });
const judge = (more: object = {}) => ({ judge: { url: server.url, model: 'm', ...more }, retries: 0 });

const item = (completion: string, more: Partial<ScorerItem> = {}): ScorerItem => ({
  prompt: 'p',
  completion,
  ...more,
});
const itemsOf = ({ body }: Asked) => (body as { items: (ScorerItem & { id: string })[] }).items;
const completionOf = ({ body }: Asked): string =>
  /=== Answer ===\n(.*)\n=== End/s.exec(
    (body as { messages: { content: string }[] }).messages[0]!.content,
  )![1]!;
const scoreAll = (name: string, ...completions: readonly string[]) =>
  Promise.all(completions.map((completion) => scorers!.score(name, item(completion))));

/** A scorer of each kind that says a completion's length, null of `nothing`, and text of `text`. */
const kinds: Record<string, () => object> = {
  http: () => {
    server.reply = (asked) => ({
      json: {
        scores: itemsOf(asked).map(({ id, completion }) =>
          completion === 'nothing' ? null : { id, score: completion === 'text' ? 'good' : completion.length },
        ),
      },
    });
    return http();
  },
  judge: () => {
    server.reply = (asked) => {
      const completion = completionOf(asked);
      return chat(
        completion === 'nothing'
          ? '[[N/A]]'
          : completion === 'text'
            ? '[[good]]'
            : `[[${completion.length}]]`,
      );
    };
    return judge();
  },
  module: () => ({ module: lengthsModule }),
};

describe.each(Object.entries(kinds))('every scorer: %s', (_, declaration) => {
  it('answers each completion with a score, null where it does not apply, or its failure', async () => {
    await declare({ s: declaration() });
    const answers = await scoreAll('s', 'one', 'nothing', 'text', 'three');
    expect(answers).toEqual([
      { score: 3 },
      null,
      expect.objectContaining({ code: 'SCORER_ANSWER' }),
      { score: 5 },
    ]);
  });

  it('gives the same score in any batch', async () => {
    await declare({ s: { ...declaration(), ...('judge' in declaration() ? {} : { batchSize: 2 }) } });
    const words = ['a', 'bb', 'ccc', 'dddd', 'eeeee'];
    expect(await scoreAll('s', ...words)).toEqual(words.map(({ length }) => ({ score: length })));
    expect(await scoreAll('s', 'dddd')).toEqual([{ score: 4 }]);
  });
});

describe('completions that come together', () => {
  it('go in one request, of batchSize at most, with all that is known of them', async () => {
    server.reply = lengths;
    await declare({ s: http({ batchSize: 2 }) });
    const messages = [{ role: 'user', content: 'p' }];
    const whole = item('one', { tokens: [4, 5], messages, metadata: { topic: 'x' } });
    await Promise.all([
      scorers!.score('s', whole),
      ...['four', 'sixsix'].map((text) => scorers!.score('s', item(text))),
    ]);
    expect(server.asked.map((asked) => itemsOf(asked).length)).toEqual([2, 1]);
    expect(itemsOf(server.asked[0]!)[0]).toEqual({ ...whole, id: expect.stringMatching(/^[0-9a-f]{64}$/) });
  });

  it('fail alone: a batch that failed is asked for once more, each by itself', async () => {
    server.reply = (asked) =>
      itemsOf(asked).some(({ completion }) => completion === 'poison') ? { status: 400 } : lengths(asked);
    await declare({ s: http({ retries: 3 }) });
    expect(await scoreAll('s', 'one', 'poison', 'three')).toEqual([
      { score: 3 },
      expect.objectContaining({ code: 'SCORER_REFUSED' }),
      { score: 5 },
    ]);
    expect(server.asked).toHaveLength(4);
  });

  it('each get their own score, in any batches and beside any failures', async () => {
    server.reply = (asked) => ({
      json: {
        scores: itemsOf(asked).map(
          ({ completion }) => ({ s: completion.length, n: null, x: 'text' })[completion[0]!],
        ),
      },
    });
    const completion = fc.tuple(fc.constantFrom('s', 'n', 'x'), fc.string()).map((parts) => parts.join(''));
    await declare({ s: http({ cache: false, batchSize: 3 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(completion, { minLength: 1, maxLength: 12 }), async (completions) => {
        const answers = await scoreAll('s', ...completions);
        completions.forEach((text, index) => {
          if (text.startsWith('s')) expect(answers[index]).toEqual({ score: text.length });
          else if (text.startsWith('n')) expect(answers[index]).toBeNull();
          else expect(answers[index]).toMatchObject({ code: 'SCORER_ANSWER' });
        });
      }),
      { numRuns: 25 },
    );
  });

  it.each([
    ['too few', (count: number) => Array(count - 1).fill(1)],
    ['too many', (count: number) => Array(count + 1).fill(1)],
    [
      'ids in another order',
      (_: number, ids: readonly string[]) => ids.toReversed().map((id) => ({ id, score: 1 })),
    ],
  ])('never get the scores of others: %s', async (_, scoresOf) => {
    server.reply = (asked) => {
      const ids = itemsOf(asked).map(({ id }) => id);
      return { json: { scores: ids.length > 1 ? scoresOf(ids.length, ids) : [7] } };
    };
    await declare({ s: http() });
    for (const answer of await scoreAll('s', 'one', 'two'))
      expect([{ score: 7 }, expect.objectContaining({ code: 'SCORER_MISALIGNED' })]).toContainEqual(answer);
  });

  it('are at most so many requests under way as the declaration says', async () => {
    let underWay = 0;
    let most = 0;
    const waiting: (() => void)[] = [];
    server.reply = async (asked) => {
      most = Math.max(most, ++underWay);
      if (server.asked.length === 2) for (const go of waiting) go();
      if (server.asked.length < 2) await new Promise<void>((resolve) => waiting.push(resolve));
      underWay--;
      return lengths(asked);
    };
    await declare({ s: http({ batchSize: 1, concurrency: 2 }) });
    await scoreAll('s', 'a', 'bb', 'ccc', 'dddd');
    expect(most).toBe(2);
  });
});

describe('an answer', () => {
  it('is asked for once, also after a restart; failures are asked for again', async () => {
    server.reply = (asked) => ({
      json: { scores: itemsOf(asked).map(({ completion }) => (completion === 'odd' ? 'x' : null)) },
    });
    await declare({ s: http() });
    expect(await scoreAll('s', 'one', 'one', 'odd')).toEqual([null, null, expect.any(Error)]);
    expect(itemsOf(server.asked[0]!)).toHaveLength(2);
    await declare({ s: http() });
    server.reply = lengths;
    expect(await scoreAll('s', 'one', 'odd')).toEqual([null, { score: 3 }]);
    expect(server.asked.map(itemsOf).flatMap((items) => items.map(({ completion }) => completion))).toEqual([
      'one',
      'odd',
      'odd',
    ]);
  });

  it('is of the prompt, the conversation and the metadata too, and of the declaration', async () => {
    server.reply = lengths;
    await declare({ s: http(), other: http({ version: '2' }) });
    const variants = [
      item('c'),
      item('c', { prompt: 'q' }),
      item('c', { metadata: { a: 1 } }),
      item('c', { messages: [{ role: 'user', content: 'p' }] }),
    ];
    for (const variant of variants) await scorers!.score('s', variant);
    await scorers!.score('other', item('c'));
    await scorers!.score('s', item('c', { metadata: { a: 1 } }));
    expect(server.asked).toHaveLength(5);
  });

  it('is not kept where the declaration says so, nor that of a module', async () => {
    server.reply = lengths;
    await declare({ s: http({ cache: false }) });
    await scoreAll('s', 'one');
    await scoreAll('s', 'one');
    expect(server.asked).toHaveLength(2);
  });
});

describe('a spending cap', () => {
  it('in requests stops them, also after a restart, until it is raised', async () => {
    server.reply = lengths;
    const capped = (requests: number) =>
      declare({ s: http({ batchSize: 1, concurrency: 1, spending: { requests } }) });
    await capped(2);
    await scoreAll('s', 'a', 'bb');
    const refused = {
      code: 'SCORER_CAP',
      unavailable: true,
      message: expect.stringContaining('less than 2 requests, got 2'),
    };
    await expect(scoreAll('s', 'ccc')).rejects.toMatchObject(refused);
    await capped(2);
    await expect(scoreAll('s', 'ccc')).rejects.toMatchObject(refused);
    // What is known costs nothing.
    expect(await scoreAll('s', 'bb')).toEqual([{ score: 2 }]);
    await capped(3);
    expect(await scoreAll('s', 'ccc')).toEqual([{ score: 3 }]);
    expect(server.asked).toHaveLength(3);
  });

  it.each([
    ['tokens', { tokens: 300 }],
    ['usd', { usd: 0.002 }],
  ])('of a judge counts %s by its usage', async (_, spending) => {
    server.reply = () => chat('[[5]]', { prompt_tokens: 100, completion_tokens: 50 });
    const price = { input: 5, output: 10 };
    await declare({ j: { ...judge({ price }), spending } });
    await scoreAll('j', 'a');
    await scoreAll('j', 'b');
    await expect(scoreAll('j', 'c')).rejects.toMatchObject({ code: 'SCORER_CAP' });
    expect(server.asked).toHaveLength(2);
  });
});

describe('requests', () => {
  it('that nobody serves take nothing of a cap', async () => {
    server.reply = () => ({ status: 503 });
    await declare({ s: http({ retries: 1, spending: { requests: 1 } }) });
    await expect(scoreAll('s', 'a')).rejects.toMatchObject({ code: 'SCORER_UNAVAILABLE' });
    expect(server.asked).toHaveLength(2);
    server.reply = lengths;
    expect(await scoreAll('s', 'a')).toEqual([{ score: 1 }]);
    await expect(scoreAll('s', 'b')).rejects.toMatchObject({ code: 'SCORER_CAP' });
  });

  it('go on when the file says that more may be spent, without a restart', async () => {
    server.reply = lengths;
    const file = join(folder, 'scorers.json');
    await declare({ s: http({ spending: { requests: 0 } }) });
    const refused = () => expect(scoreAll('s', 'a')).rejects.toMatchObject({ code: 'SCORER_CAP' });
    await refused();
    await writeFile(file, '{ "s": ');
    await refused();
    await writeFile(file, JSON.stringify({ s: http({ version: '2', spending: { requests: 1 } }) }));
    await refused();
    await writeFile(file, JSON.stringify({ s: http({ spending: { requests: 1 } }) }));
    expect(await scoreAll('s', 'a')).toEqual([{ score: 1 }]);
  });
});

describe('a module', () => {
  it('is given its options, and gives parts', async () => {
    await declare({ m: { module: lengthsModule, options: { bonus: 2 } } });
    expect(await scoreAll('m', 'options')).toEqual([{ score: 2, parts: { bonus: 2 } }]);
  });

  it('that throws, ends its thread or hangs fails for that completion alone, and goes on', async () => {
    await declare({ m: { module: lengthsModule, timeoutMs: 500 } });
    expect(await scoreAll('m', 'one', 'throw', 'exit', 'hang', 'three')).toEqual([
      { score: 3 },
      expect.objectContaining({
        code: 'SCORER_FAILED',
        message: expect.stringContaining('a bug in the module'),
      }),
      expect.objectContaining({
        code: 'SCORER_FAILED',
        message: expect.stringContaining('exited with code 3'),
      }),
      expect.objectContaining({ code: 'SCORER_TIMEOUT' }),
      { score: 5 },
    ]);
  });

  it('that answers nothing in time is given up after a few, until it answers', async () => {
    await declare({ m: { module: lengthsModule, timeoutMs: 300, batchSize: 1 } });
    expect(await scoreAll('m', 'hang 1', 'hang 2')).toMatchObject(Array(2).fill({ code: 'SCORER_TIMEOUT' }));
    await expect(scoreAll('m', 'hang 3')).rejects.toMatchObject({
      code: 'SCORER_UNAVAILABLE',
      message: expect.stringContaining('m took longer than 300 ms for each of the last 3 completions'),
    });
    expect(await scoreAll('m', 'one')).toEqual([{ score: 3 }]);
    expect(await scoreAll('m', 'hang 3')).toMatchObject([{ code: 'SCORER_TIMEOUT' }]);
  });

  it.each([
    ['does not exist', 'nowhere.mjs', 'nowhere.mjs'],
    ['exports no function', 'no-default.mjs', 'expected a function as its default export, got undefined'],
  ])('that %s is told at start', async (_, name, message) => {
    const module = fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
    await expect(declare({ m: { module } })).rejects.toMatchObject({
      code: 'RUNTIME_SETTINGS',
      message: expect.stringContaining(message),
    });
  });
});

it('a judge compares pairs under the same limits', async () => {
  server.reply = (asked) =>
    chat(
      JSON.stringify(asked.body).indexOf('better') < JSON.stringify(asked.body).indexOf('worse')
        ? '[[A]]'
        : '[[B]]',
    );
  await declare({
    j: { judge: { url: server.url, model: 'm', pairTemplate: '{{first}} {{second}}' } },
    h: http(),
  });
  const pair = { prompt: 'p', first: 'worse', second: 'better' };
  expect(await scorers!.judge('j').compare(pair)).toMatchObject({ preferred: 'second' });
  expect(await scorers!.judge('j').compare(pair)).toMatchObject({ preferred: 'second' });
  // Both orders, once.
  expect(server.asked).toHaveLength(2);
  expect(() => scorers!.judge('h')).toThrow(expect.objectContaining({ code: 'SCORER_UNDECLARED' }));
});

it('a token that is not there, or a name that is not declared, is told', async () => {
  await expect(declare({ s: http({ token: 'OTHER' }) })).rejects.toMatchObject({
    code: 'RUNTIME_SETTINGS',
    message: expect.stringContaining('missing: s: OTHER'),
  });
  await declare({ s: http() });
  await expect(scoreAll('t', 'a')).rejects.toMatchObject({
    code: 'SCORER_UNDECLARED',
    unavailable: true,
    message: 'expected scorer t to be declared in the file of RLHF_SCORERS, there are s',
  });
});

it('no answer tells the token, whatever the scorer says', async () => {
  await declare({ s: http({ token: 'TOKEN', cache: false }) });
  for (const scores of [[{ error: CANARY }], [CANARY], [{ score: 1, parts: { [CANARY]: 1 } }], CANARY]) {
    server.reply = () => ({ json: { scores } });
    const answer = await scorers!.score('s', item('a')).catch((error) => error);
    expect(JSON.stringify([answer, (answer as Error).message])).not.toContain(CANARY);
  }
  expect(server.asked[0]!.headers.authorization).toBe(`Bearer ${CANARY}`);
});
