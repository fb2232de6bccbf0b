import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { trainByteLevelBpe } from './bpe-trainer.js';
import { type Message, renderChat } from './chat-template.js';
import { readTokenizer } from './files.js';
import { encodePrompt } from './prompt.js';

/** Written for these tests: turns between tokens of the model's, which begin with the beginning of text. */
const TEMPLATE = `{{ bos_token }}{% for message in messages -%}
{% if message.role not in ['system', 'user', 'assistant'] %}{{ raise_exception('unknown role ' + message.role) }}{% endif -%}
[{{ message.role }}] {{ message.content | trim }}{{ eos_token }}
{% endfor %}{% if add_generation_prompt %}[assistant] {% endif %}`;
const CHAT: Message[] = [
  { role: 'user', content: '  Why {{ not }}?' },
  { role: 'assistant', content: 'Because.' },
  { role: 'user', content: 'Ah.' },
];
const RENDERED = '<s>[user] Why {{ not }}?</s>\n[assistant] Because.</s>\n[user] Ah.</s>\n[assistant] ';
const tokens = { bos_token: '<s>', eos_token: { content: '</s>', lstrip: false } };

describe('a chat template', () => {
  it('makes a conversation the text that its answer follows', () => {
    expect(renderChat({ ...tokens, chat_template: TEMPLATE }, CHAT)).toBe(RENDERED);
  });

  it('is the default of several', () => {
    const chat_template = [
      { name: 'tool_use', template: 'tools' },
      { name: 'default', template: TEMPLATE },
    ];
    expect(renderChat({ ...tokens, chat_template }, CHAT)).toBe(RENDERED);
  });

  it.each([
    ['that is missing', {}, 'MODEL_CHAT_TEMPLATE_MISSING', /expected a model with a chat template/],
    [
      'among others alone',
      [{ name: 'rag', template: 'x' }],
      'MODEL_CHAT_TEMPLATE_MISSING',
      /got one without/,
    ],
    ['that is no text', 7, 'MODEL_CHAT_TEMPLATE', /expected chat_template of tokenizer_config\.json/],
    ['that is no Jinja', '{% for %}', 'MODEL_CHAT_TEMPLATE', /to be one of Jinja/],
  ])('%s is an error that says so', (_, template, code, message) => {
    const config = { ...tokens, ...(JSON.stringify(template) !== '{}' && { chat_template: template }) };
    expect(() => renderChat(config, CHAT)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });

  it('says which messages it does not take', () => {
    expect(() => renderChat({ chat_template: TEMPLATE }, [{ role: 'tool', content: 'x' }])).toThrow(
      expect.objectContaining({
        code: 'MODEL_CHAT_TEMPLATE',
        message: expect.stringMatching(/takes other messages: .*unknown role tool/),
      }),
    );
  });
});

describe("a model's chat template", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'chat-'));
    const { json, config } = trainByteLevelBpe(['a'], { vocabSize: 258 });
    await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(json));
    const own = { ...(config as object), chat_template: '{{ bos_token }}config' };
    await writeFile(join(folder, 'tokenizer_config.json'), JSON.stringify(own));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('begins texts itself, once, where the tokenizer would too', async () => {
    const tokenizer = (await readTokenizer(folder))!;
    expect(tokenizer.begin).toEqual([tokenizer.eosId]);
    const { text, tokens } = encodePrompt(tokenizer, {}, CHAT);
    expect(text).toBe('<|endoftext|>config');
    expect(tokens).toEqual([tokenizer.eosId, ...tokenizer.encode('config')]);
  });

  it('is the file of its own, where there is one', async () => {
    await writeFile(join(folder, 'chat_template.jinja'), 'file');
    expect((await readTokenizer(folder))!.renderChat(CHAT)).toBe('file');
  });
});

/** A real model, for those who have one beside the project: its weights and texts are not a part of it. */
const smol = nearestFolder('shared/models/smollm2-135m');

function nearestFolder(name: string, from = import.meta.dirname): string | undefined {
  const found = join(from, name);
  if (existsSync(found)) return found;
  return dirname(from) === from ? undefined : nearestFolder(name, dirname(from));
}

describe.skipIf(!smol)('SmolLM2-135M-Instruct', () => {
  it('reads conversations and texts as transformers does', async () => {
    const expected = JSON.parse(readFileSync(join(smol!, 'expected.json'), 'utf8')) as {
      cases: { messages: Message[]; text: string; ids: number[] }[];
      tokenizer: { text: string; ids: number[] }[];
    };
    const tokenizer = (await readTokenizer(smol!))!;
    expect(expected.cases.length).toBeGreaterThan(0);
    for (const { messages, text, ids } of expected.cases)
      expect(encodePrompt(tokenizer, {}, messages)).toEqual({ text, tokens: ids, begin: 0 });
    for (const { text, ids } of expected.tokenizer) expect(tokenizer.encode(text)).toEqual(ids);
  });
});
