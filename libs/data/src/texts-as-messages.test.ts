import { expect, it } from 'vitest';
import { detectFormat } from './columns.js';
import { transcriptsAsMessages } from './texts-as-messages.js';

const [asked, begun] = ['\n\nHuman: Hi', '\n\nHuman: Hi\n\nAssistant: Yes?\n\nHuman: Why: \n\nso?'];
const messages = (...said: string[]) =>
  said.map((content, i) => ({ role: i % 2 === 0 ? 'user' : 'assistant', content }));
const answer = (content: string) => [{ role: 'assistant', content }];

it('pairs of transcripts have the turns before the last answer as their prompt', () => {
  const dataset = detectFormat([
    { chosen: `${asked}\n\nAssistant: Hello.`, rejected: `${asked}\n\nAssistant: No.` },
    { chosen: `${begun}\n\nAssistant: So.`, rejected: `${begun}\n\nAssistant: So it is.` },
  ]);
  expect(transcriptsAsMessages(dataset)).toEqual({
    kind: 'preference',
    rows: [
      { prompt: messages('Hi'), chosen: answer('Hello.'), rejected: answer('No.') },
      {
        prompt: messages('Hi', 'Yes?', 'Why: \n\nso?'),
        chosen: answer('So.'),
        rejected: answer('So it is.'),
      },
    ],
  });
});

it.each([
  [
    'a prompt of its own',
    { prompt: `${asked}\n\nAssistant:`, chosen: ' A', rejected: ' B', margin: 1 },
    { prompt: messages('Hi'), chosen: answer('A'), rejected: answer('B'), margin: 1 },
  ],
  [
    'sides that are alike',
    { chosen: `${asked}\n\nAssistant: Same`, rejected: `${asked}\n\nAssistant: Same` },
    { prompt: messages('Hi'), chosen: answer('Same'), rejected: answer('Same') },
  ],
  [
    'sides that part early',
    { chosen: `${begun}\n\nAssistant: A`, rejected: `${asked}\n\nAssistant: B` },
    {
      prompt: messages('Hi'),
      chosen: messages('Hi', 'Yes?', 'Why: \n\nso?', 'A').slice(1),
      rejected: answer('B'),
    },
  ],
  [
    'an answer',
    { prompt: asked, completion: '\n\nAssistant: A' },
    { prompt: messages('Hi'), completion: answer('A') },
  ],
  [
    'several answers',
    { prompt: `${asked}\n\nAssistant:`, completions: ['A', ' B'], ranks: [2, 1] },
    { prompt: messages('Hi'), completions: [answer('A'), answer('B')], ranks: [2, 1] },
  ],
  ['nothing but a prompt', { prompt: `${asked}\n\nAssistant:` }, { prompt: messages('Hi') }],
  ['one text', { text: `${asked}\n\nAssistant: A` }, { messages: messages('Hi', 'A') }],
])('a transcript with %s', (_, row, expected) => {
  expect(transcriptsAsMessages(detectFormat([row]))?.rows).toEqual([expected]);
});

it('texts among which one is no transcript stay texts', () => {
  const row = { prompt: asked, completion: '\n\nAssistant: A' };
  expect(transcriptsAsMessages(detectFormat([row, { prompt: 'The', completion: ' end' }]))).toBeUndefined();
  expect(transcriptsAsMessages(detectFormat([{ text: 'Humans' }]))).toBeUndefined();
});
