import { detectFormat } from '@rlhf-streams/data';
import { loadTokenizer, type Tokenizer, trainByteLevelBpe } from '@rlhf-streams/model';
import { type DemonstrationItem, itemSchemas, parseRunConfig, type RunItem } from '@rlhf-streams/runs';
import { describe, expect, it } from 'vitest';
import { encoderOf } from './encoder.js';
import { feedbackItems, itemsOf } from './items.js';

/** Turns that end with the end of text and a line; with it, what was thought before the last question is left out. */
const chatTemplate = ({ forgets = false, marks = false, ends = '{{ eos_token }}' } = {}) =>
  `{%- for message in messages %}
${forgets ? "{%- set content = message.content.split('</think>')[-1] if message.role == 'assistant' and not loop.last else message.content %}" : '{%- set content = message.content %}'}
{{- '[' + message.role + ']' }}
${marks ? '{%- if message.role == "assistant" %}{% generation %}{{ content }}{{ eos_token }}{% endgeneration %}{% else %}{{ content }}{{ eos_token }}{% endif %}' : `{{- content }}${ends}`}
{{- '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '[assistant]' }}{%- endif %}`;

const { json, config } = trainByteLevelBpe(['aa'], { vocabSize: 258 });
const tokenizerWith = (template?: string): Tokenizer =>
  loadTokenizer(json, { ...(config as object), ...(template && { chat_template: template }) });

const common = { run: 'r', steps: 1, model: 'm', data: 'd', allow: { dropped: 1, cut: 1 } };
const sft = (change: object = {}) => parseRunConfig({ ...common, method: 'sft', sft: change });
const dpo = parseRunConfig({ ...common, method: 'dpo' });
const kto = parseRunConfig({ ...common, method: 'kto' });

const say = (role: string, content: string, more: object = {}) => ({ role, content, ...more });
const [hi, hello, why, thought] = [
  say('user', 'Hi'),
  say('assistant', '<think>hm</think>Hello'),
  say('user', 'Why?'),
  say('assistant', '<think>so</think>Because'),
];
const chat = [hi, hello, why, thought];

const prepared = (
  run: ReturnType<typeof parseRunConfig>,
  template: string | undefined,
  ...rows: object[]
) => {
  const tokenizer = tokenizerWith(template);
  const { items, data } = itemsOf(run, detectFormat(rows), encoderOf(tokenizer, { contextLength: 256 }));
  return { items, data, decode: (tokens: readonly number[]) => tokenizer.decode(tokens) };
};

/** What is read and what is learned of a demonstration, as texts. */
function shown(item: RunItem, decode: (tokens: readonly number[]) => string) {
  const { promptTokens, tokens, learned } = item as DemonstrationItem;
  const stretches = learned ?? [{ from: 0, count: tokens.length }];
  return [decode(promptTokens), stretches.map(({ from, count }) => decode(tokens.slice(from, from + count)))];
}
const END = '<|endoftext|>';

describe('conversations to imitate', () => {
  it('are learned whole, up to the end of the last turn', () => {
    const { items, decode } = prepared(sft(), chatTemplate(), { messages: [hi, hello] });
    expect(shown(items[0]!, decode)).toEqual([
      '',
      [`[user]Hi${END}\n[assistant]<think>hm</think>Hello${END}`],
    ]);
    const { items: asked, decode: read } = prepared(sft(), chatTemplate(), { messages: [hi] });
    expect(shown(asked[0]!, read)).toEqual(['', [`[user]Hi${END}\n`]]);
  });

  it('with assistantOnly are learned where the assistant speaks, in every turn', () => {
    const { items, data, decode } = prepared(sft({ assistantOnly: true }), chatTemplate(), {
      messages: chat,
    });
    const item = items[0] as DemonstrationItem;
    expect(shown(item, decode)).toEqual([
      `[user]Hi${END}\n[assistant]`,
      [`<think>hm</think>Hello${END}`, `<think>so</think>Because${END}`],
    ]);
    expect(decode([...item.promptTokens, ...item.tokens])).toBe(
      `[user]Hi${END}\n[assistant]<think>hm</think>Hello${END}\n[user]Why?${END}\n[assistant]<think>so</think>Because${END}`,
    );
    expect(data).toEqual({ read: 1, used: 1, cut: 0, dropped: {} });
    expect(itemSchemas.demonstrations.parse(item)).toEqual(item);
  });

  it('by a template that renders earlier turns otherwise are masked by rendering again, which is said', () => {
    const { items, data, decode } = prepared(sft({ assistantOnly: true }), chatTemplate({ forgets: true }), {
      messages: chat,
    });
    expect(shown(items[0]!, decode)).toEqual([
      `[user]Hi${END}\n[assistant]`,
      [`Hello${END}`, `<think>so</think>Because${END}`],
    ]);
    // Each turn follows its prompt; what was thought in the first is not rendered any more.
    expect(data.noted).toBeUndefined();
    const counting = `{{ messages | length }}${chatTemplate()}`;
    const counted = prepared(sft({ assistantOnly: true }), counting, { messages: chat });
    expect(shown(counted.items[0]!, counted.decode)[1]).toEqual(
      [hello, thought].map(({ content }) => content + END),
    );
    expect(Object.entries(counted.data.noted!)).toEqual([
      [expect.stringMatching(/not prefix-preserving.*rendering again/), 1],
    ]);
  });

  it('are learned in the generation blocks of a template that has them', () => {
    const { items, decode } = prepared(sft({ assistantOnly: true }), chatTemplate({ marks: true }), {
      messages: chat,
    });
    expect(shown(items[0]!, decode)[1]).toEqual([hello, thought].map(({ content }) => content + END));
  });

  it('get an end where the template has none, which is said', () => {
    for (const assistantOnly of [true, false]) {
      const { items, data, decode } = prepared(sft({ assistantOnly }), chatTemplate({ ends: '' }), {
        messages: chat,
      });
      const said = shown(items[0]!, decode)[1]!.at(-1)!;
      expect(said.endsWith(`Because${END}`)).toBe(true);
      expect(Object.keys(data.noted!)).toEqual([expect.stringMatching(/one was added/)]);
    }
  });

  it('are cut to the length, and left out where nothing to learn is left', () => {
    const run = (maxLength: number) => sft({ assistantOnly: true, maxLength });
    const { items, data, decode } = prepared(run(70), chatTemplate(), { messages: chat });
    expect(shown(items[0]!, decode)[1]).toHaveLength(2);
    expect(
      [items[0] as DemonstrationItem].map(({ promptTokens, tokens }) => promptTokens.length + tokens.length),
    ).toEqual([70]);
    expect(data.cut).toBe(1);
    const rows = [{ messages: chat }, { messages: [hi] }];
    expect(() => prepared(run(12), chatTemplate(), ...rows)).toThrow(
      /no room for a completion.*no turn of the assistant to learn/,
    );
  });

  it('of prompts and completions are learned in the completion, with assistantOnly without what tools say', () => {
    const row = {
      prompt: [hi],
      completion: [
        say('assistant', 'time', { tool_calls: [{}] }),
        say('tool', 'noon'),
        say('assistant', 'Noon.'),
      ],
    };
    const whole = prepared(sft(), chatTemplate(), row);
    const between = `${END}\n[tool]noon${END}\n[assistant]`;
    expect(shown(whole.items[0]!, whole.decode)).toEqual([
      `[user]Hi${END}\n[assistant]`,
      [`time${between}Noon.${END}`],
    ]);
    const only = prepared(sft({ assistantOnly: true }), chatTemplate(), row);
    expect(shown(only.items[0]!, only.decode)).toEqual([
      `[user]Hi${END}\n[assistant]`,
      [`time${END}`, `Noon.${END}`],
    ]);
  });

  it('are what assistantOnly is for', () => {
    expect(() => prepared(sft({ assistantOnly: true }), chatTemplate(), { text: 'Hi' })).toThrow(
      /demonstrations with assistantOnly.*{messages}.*got text rows/,
    );
  });
});

describe('answers in conversations', () => {
  const pair = { chosen: [hi, say('assistant', 'Yes')], rejected: [hi, say('assistant', 'No')] };

  it('are compared as the template renders them, with what ends a turn', () => {
    const { items, decode } = prepared(dpo, chatTemplate(), { prompt: 'Hi', ...pair });
    expect(items).toMatchObject([
      {
        promptText: `[user]Hi${END}\n[assistant]`,
        messages: [hi],
        completions: [{ text: 'Yes' }, { text: 'No' }],
      },
    ]);
    const [{ promptTokens, completions }] = items as [Extract<RunItem, { completions: unknown }>];
    expect(decode(promptTokens)).toBe(`[user]Hi${END}\n[assistant]`);
    expect(completions.map(({ tokens }) => decode(tokens))).toEqual([`Yes${END}`, `No${END}`]);
    expect(itemSchemas.comparisons.parse(items[0])).toEqual(items[0]);
  });

  it('tell the template of tools', () => {
    const template = `{{ (tools or []) | length }}${chatTemplate()}`;
    const { items } = prepared(dpo, template, {
      ...pair,
      tools: [{ type: 'function' }, { type: 'function' }],
    });
    expect(items).toMatchObject([{ promptText: expect.stringMatching(/^2\[user\]Hi/), tools: [{}, {}] }]);
  });

  it('are thumbs up and down', () => {
    const { items } = prepared(kto, chatTemplate(), { ...pair });
    expect(items).toMatchObject([
      { text: 'Yes', label: true, messages: [hi] },
      { text: 'No', label: false, promptText: `[user]Hi${END}\n[assistant]` },
    ]);
  });

  it('to prompts that the template renders otherwise once they are answered follow what it renders then', () => {
    const opened = chatTemplate().replace("'[assistant]' }}{%- endif", "'[assistant]<think>' }}{%- endif");
    const { items, data } = prepared(dpo, opened, pair);
    expect(items).toMatchObject([{ promptText: `[user]Hi${END}\n[assistant]` }]);
    expect(Object.keys(data.noted!)).toEqual([expect.stringMatching(/not prefix-preserving/)]);
    const told = `{{ messages[-1].content }}${chatTemplate()}`;
    expect(() => prepared(dpo, told, pair)).toThrow(/renders the prompt otherwise for each completion/);
  });

  it('that say nothing are left out', () => {
    const { data } = prepared(dpo, chatTemplate(), pair, { ...pair, chosen: [hi, say('assistant', ' ')] });
    expect(data.dropped).toEqual({ 'empty completion': 1 });
  });

  it('need a model with a chat template', () => {
    expect(() => prepared(dpo, undefined, pair)).toThrow(
      expect.objectContaining({ code: 'MODEL_CHAT_TEMPLATE_MISSING' }),
    );
  });
});

describe('transcripts of Human and Assistant', () => {
  const row = { chosen: '\n\nHuman: Hi\n\nAssistant: Yes', rejected: '\n\nHuman: Hi\n\nAssistant: No' };

  it('are conversations to a model with a chat template, which is said, and texts to any other', () => {
    const { items, data } = prepared(dpo, chatTemplate(), row);
    expect(items).toMatchObject([{ promptText: `[user]Hi${END}\n[assistant]`, messages: [hi] }]);
    expect(data.noted).toEqual({ 'a transcript of Human and Assistant, read as messages': 1 });
    const plain = prepared(dpo, undefined, row);
    expect(plain.items).toMatchObject([
      { promptText: '\n\nHuman: Hi\n\nAssistant:', completions: [{ text: ' Yes' }, {}] },
    ]);
    expect(plain.data).toEqual({ read: 1, used: 1, cut: 0, dropped: {} });
  });
});

it('labels that are no thumbs are named', () => {
  const rows = ['yes', 'no'].map((label) => ({ prompt: 'a', completion: 'b', label }));
  expect(() => prepared(kto, undefined, ...rows)).toThrow(/got completion rows: .*row 1: label: .*got "yes"/);
});

describe('texts of a run with chat', () => {
  const asked = `[user]Hi${END}\n[assistant]`;
  const encoder = encoderOf(tokenizerWith(chatTemplate()), { contextLength: 256 });

  it.each([
    ['a pair', 'dpo', { prompt: 'Hi', chosen: ' Yes', rejected: 'No' }],
    ['a ranking', 'pro', { prompt: 'Hi', completions: ['Yes', 'No'], ranks: [1, 2] }],
  ])('are messages of a user and an assistant: %s', (_, method, row) => {
    const run = parseRunConfig({ ...common, method, chat: true });
    expect(itemsOf(run, detectFormat([row]), encoder).items).toMatchObject([
      { promptText: asked, messages: [hi], completions: [{ text: 'Yes' }, { text: 'No' }] },
    ]);
  });

  it('are so in prompts, completions and feedback', () => {
    const sample = parseRunConfig({
      run: 'r',
      steps: 1,
      model: 'm',
      prompts: 'd',
      method: 'sample',
      chat: true,
      testFraction: 0,
    });
    expect(itemsOf(sample, detectFormat([{ prompt: 'Hi' }]), encoder).items).toMatchObject([
      { text: asked, messages: [hi] },
    ]);
    const demonstrated = parseRunConfig({ ...common, method: 'sft', chat: true });
    const { items } = itemsOf(demonstrated, detectFormat([{ prompt: 'Hi', completion: 'Yes' }]), encoder);
    expect(items).toMatchObject([
      { promptTokens: encoder.encode(asked), tokens: encoder.encode(`Yes${END}`) },
    ]);
    const feedback = {
      feedback: 'f',
      collection: 'c',
      completions: ['Yes', 'No'],
      ranks: [1, 2],
      labeler: 'l',
    };
    for (const [prompt, change] of [
      ['Hi', { chat: true }],
      [[hi], {}],
    ] as const)
      expect(
        feedbackItems(
          parseRunConfig({ ...common, method: 'dpo', data: 'feedback:c', ...change }),
          [{ ...feedback, prompt: prompt as string }],
          encoder,
        ).items,
      ).toMatchObject([
        { promptText: asked, messages: [hi], completions: [{ text: 'Yes' }, { text: 'No' }] },
      ]);
  });
});
