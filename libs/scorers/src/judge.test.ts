import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createJudge, type Judge } from './judge.js';
import { JudgeSettings } from './judge-settings.js';
import { type Asked, chat, type ScorerServer, startScorerServer } from './scorer-server.test.support.js';

let server: ScorerServer;
const usages: object[] = [];
beforeAll(async () => {
  server = await startScorerServer();
});
beforeEach(() => {
  server.asked.length = 0;
  usages.length = 0;
});
afterAll(() => server.close());

const judge = (settings: object = {}): Judge =>
  createJudge(JudgeSettings.parse({ url: server.url, model: 'judge-1', ...settings }), {
    name: 'scorer judge',
    url: server.url,
    timeoutMs: 10_000,
    retries: 0,
    onUsage: async (usage) => void usages.push(usage),
  });

/** What the judge was asked with its one user message. */
const promptOf = ({ body }: Asked): string =>
  (body as { messages: { role: string; content: string }[] }).messages.at(-1)!.content;
const rated = async (words: string, settings?: object): Promise<unknown> => {
  server.reply = () => chat(words);
  return judge(settings)
    .rate({ prompt: 'p', completion: 'c' })
    .catch((error) => error);
};

describe('a rating', () => {
  it('is asked for by the chat endpoint, and counted by its usage and price', async () => {
    server.reply = () =>
      chat('Brief but right. Rating: [[7.5]]', { prompt_tokens: 1000, completion_tokens: 500 });
    const settings = { system: 'Be fair.', criteria: 'wit', seed: 4, price: { input: 2, output: 10 } };
    expect(await judge(settings).rate({ prompt: 'Say hello', completion: 'Hi!' })).toEqual({ score: 7.5 });
    expect(server.asked[0]!.body).toEqual({
      model: 'judge-1',
      messages: [
        { role: 'system', content: 'Be fair.' },
        {
          role: 'user',
          content: expect.stringMatching(/by wit.*Say hello.*Hi!.*from 1 \(worst\) to 10 \(best\)/s),
        },
      ],
      temperature: 0,
      max_tokens: 512,
      seed: 4,
    });
    expect(usages).toEqual([{ tokens: 1500, usd: 0.007 }]);
  });

  it.each([
    ['the last verdict', 'First I thought [[2]]. Rating: [[ 9 ]]', { score: 9 }],
    ['null where the criteria do not apply', 'Rating: [[n/a]]', null],
  ])('is %s', async (_, words, answer) => {
    expect(await rated(words)).toEqual(answer);
  });

  it.each([
    ['beyond the scale', 'Rating: [[11]]'],
    ['missing', 'I would say 7.'],
    ['empty', '[[]]'],
    ['a word', '[[good]]'],
  ])('that is %s is a failure', async (_, words) => {
    expect(await rated(words)).toMatchObject({ code: 'SCORER_ANSWER' });
  });

  it('takes another scale and another template', async () => {
    const settings = {
      scale: { min: -1, max: 1 },
      scoreTemplate: 'From {{min}} to {{max}}: {{completion}} {{other}}',
    };
    expect(await rated('[[-0.5]]', settings)).toEqual({ score: -0.5 });
    expect(promptOf(server.asked[0]!)).toBe('From -1 to 1: c {{other}}');
  });

  it('reads a conversation by its turns, without the marks of a chat template', async () => {
    server.reply = () => chat('[[5]]');
    const messages = [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hello?' },
    ];
    const prompt = '<|system|>Be brief.<|user|>Hello?<|assistant|>';
    await judge({ scoreTemplate: '{{prompt}}|{{completion}}' }).rate({ prompt, messages, completion: 'Hi' });
    expect(promptOf(server.asked[0]!)).toBe('system: Be brief.\nuser: Hello?|Hi');
  });

  it('puts texts into the template as they are, whatever they hold', async () => {
    server.reply = () => chat('[[5]]');
    const scoreTemplate = '{{prompt}}|{{completion}}';
    await fc.assert(
      fc.asyncProperty(fc.string(), fc.string(), async (prompt, completion) => {
        server.asked.length = 0;
        await judge({ scoreTemplate }).rate({ prompt, completion });
        expect(promptOf(server.asked[0]!)).toBe(`${prompt}|${completion}`);
      }),
      { numRuns: 20, examples: [['{{completion}}', '$& {{prompt}}']] },
    );
  });

  it('that is no chat completion is a failure', async () => {
    server.reply = () => ({ json: { error: 'no such model' } });
    await expect(judge().rate({ prompt: 'p', completion: 'c' })).rejects.toMatchObject({
      code: 'SCORER_ANSWER',
    });
  });
});

describe('a pair', () => {
  const pair = { prompt: 'p', first: 'long one', second: 'short' };
  const pairTemplate = '{{first}}>{{second}}';
  /** What comes of a judge that says this of (first, second), and that of (second, first). */
  const judged = (given: string, turned: string) => {
    server.reply = (asked) => chat(`[[${promptOf(asked) === 'long one>short' ? given : turned}]]`);
    return judge({ pairTemplate }).compare(pair);
  };

  it.each([
    ['A', 'B', 'first', 'first', 'first'],
    ['B', 'A', 'second', 'second', 'second'],
    ['C', 'C', 'tie', 'tie', 'tie'],
    // Always the one in front: a bias, and no preference.
    ['A', 'A', 'tie', 'first', 'second'],
    ['B', 'B', 'tie', 'second', 'first'],
    ['A', 'C', 'tie', 'first', 'tie'],
  ])('of verdicts %s and, turned round, %s comes %s', async (given, turned, preferred, asGiven, reversed) => {
    expect(await judged(given, turned)).toEqual({ preferred, asGiven, reversed });
    expect(server.asked).toHaveLength(2);
  });

  it('without a verdict is a failure', async () => {
    await expect(judged('A', 'D')).rejects.toMatchObject({ code: 'SCORER_ANSWER' });
  });
});

describe('a judge that compares with a text of the metadata', () => {
  const compares = (verdicts: readonly [asGiven: string, reversed: string], metadata?: object) => {
    server.reply = ({ body }) => {
      const { content } = (body as { messages: { content: string }[] }).messages.at(-1)!;
      return chat(content.indexOf('ours') < content.indexOf('theirs') ? verdicts[0] : verdicts[1]);
    };
    return judge({ compareWith: 'completion' }).rate({
      prompt: 'p',
      completion: 'ours',
      ...(metadata && { metadata: metadata as Record<string, unknown> }),
    });
  };
  const theirs = { completion: 'theirs' };

  it.each([
    ['better in both orders', ['[[A]]', '[[B]]'], { score: 1, parts: { as_given: 1, reversed: 1 } }],
    ['worse in both orders', ['[[B]]', '[[A]]'], { score: 0, parts: { as_given: 0, reversed: 0 } }],
    ['first in both orders', ['[[A]]', '[[A]]'], { score: 0.5, parts: { as_given: 1, reversed: 0 } }],
  ] as const)('scores a completion that is %s', async (_, verdicts, answer) => {
    expect(await compares(verdicts, theirs)).toEqual(answer);
  });

  it('does not apply without such a text', async () => {
    expect(await compares(['[[A]]', '[[B]]'])).toBeNull();
    expect(server.asked).toEqual([]);
  });
});
