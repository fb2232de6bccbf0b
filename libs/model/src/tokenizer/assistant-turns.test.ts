import { describe, expect, it } from 'vitest';
import { assistantTurns } from './assistant-turns.js';
import { type ChatOptions, type Message, renderChat, renderGenerations } from './chat-template.js';

const turns = (
  template: string,
  messages: readonly Message[],
  { first = 0, endTexts = ['</s>'] }: { first?: number; endTexts?: string[] } = {},
) => {
  const render = (all: readonly Message[], options: ChatOptions) =>
    renderChat({ chat_template: template, eos_token: '</s>' }, all, options);
  const { text, turns, ...rest } = assistantTurns(render, messages, { first, endTexts });
  return { text, turns: turns.map(({ from, to }) => text.slice(from, to)), ...rest };
};
const say = (role: string, content: string) => ({ role, content });
const [asked, said, again, done] = [
  say('user', 'Yes?'),
  say('assistant', 'Yes.'),
  say('user', 'Yes.'),
  say('assistant', 'Yes.'),
];
const PLAIN = `{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>\n{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}`;

describe('the turns of the assistant', () => {
  it('are told apart from others that say the same, and end with the end token', () => {
    expect(turns(PLAIN, [asked, said, again, done])).toEqual({
      text: '<user>Yes?</s>\n<assistant>Yes.</s>\n<user>Yes.</s>\n<assistant>Yes.</s>',
      turns: ['Yes.</s>', 'Yes.</s>'],
      ending: '</s>',
      rewritten: false,
    });
    expect(turns(PLAIN, [asked, said, again, done], { first: 3 }).turns).toEqual(['Yes.</s>']);
    expect(turns(PLAIN, [said, again])).toMatchObject({
      text: '<assistant>Yes.</s>\n<user>Yes.</s>\n',
      turns: ['Yes.</s>'],
      rewritten: false,
    });
  });

  it('end with the first end token behind their words, or with none', () => {
    const late = PLAIN.replace('</s>', '<end>').concat('{% if not add_generation_prompt %}</s>{% endif %}');
    expect(turns(late, [asked, said], { endTexts: ['</s>', '<end>'] })).toMatchObject({
      turns: ['Yes.<end>'],
    });
    expect(turns(late, [asked, said, again, done])).toMatchObject({
      turns: ['Yes.', 'Yes.<end>\n</s>'],
      ending: '<end>\n</s>',
    });
    expect(turns(PLAIN.replace('</s>', ''), [asked, said])).toMatchObject({ turns: ['Yes.'], ending: '' });
  });

  it('are found by rendering again where what is before them changes', () => {
    const numbered = `{{ messages | length }}${PLAIN}`;
    expect(turns(numbered, [asked, said, again, done])).toMatchObject({
      turns: ['Yes.</s>', 'Yes.</s>'],
      rewritten: true,
    });
  });

  it('are none of a conversation in which it says nothing', () => {
    expect(turns(PLAIN, [asked])).toMatchObject({ text: '<user>Yes?</s>\n', turns: [], ending: '' });
  });

  it('are an error where the template refuses the conversation', () => {
    expect(() => turns(`{{ raise_exception('no') }}`, [asked, said])).toThrow(
      expect.objectContaining({ code: 'MODEL_CHAT_TEMPLATE' }),
    );
  });
});

describe('generation blocks', () => {
  const config = (template: string) => ({ chat_template: template, eos_token: '</s>' });
  const marked = (messages: readonly Message[], template: string) => {
    const text = renderChat(config(template), messages, { addGenerationPrompt: false });
    return renderGenerations(config(template), messages, { addGenerationPrompt: false })?.map(
      ({ from, to }) => text.slice(from, to),
    );
  };

  it('are marked, whatever white space they take away', () => {
    const template = `{%- for m in messages %}
    {{- '<' + m.role + '>' }}
    {%- if m.role == 'assistant' %}
    {%- generation %}
    {{- m.content + eos_token }}
    {%- endgeneration %}
    {%- else %}{{ m.content }}{% endif %}
{% endfor %}`;
    expect(marked([asked, said, again, done], template)).toEqual(['Yes.</s>', 'Yes.</s>']);
  });

  it('are none of a template without them', () => {
    expect(marked([asked, said], PLAIN)).toBeUndefined();
  });
});

describe('tools', () => {
  const tools = [{ type: 'function', function: { name: 'time' } }];
  it('are given to the template, of several to the one for tools', () => {
    const one = '{{ (tools or []) | length }}{{ messages[0].content is none }}';
    const calls = { role: 'assistant', content: '', tool_calls: [{}] };
    expect(renderChat({ chat_template: one }, [calls], { tools })).toBe('1true');
    expect(renderChat({ chat_template: one }, [asked])).toBe('0false');
    const several = [
      { name: 'tool_use', template: 'with {{ tools[0].function.name }}' },
      { name: 'default', template: 'without' },
    ];
    expect(renderChat({ chat_template: several }, [asked], { tools })).toBe('with time');
    expect(renderChat({ chat_template: several }, [asked])).toBe('without');
  });
});
