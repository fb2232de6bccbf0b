/** Conversations as text: the chat template that a model came with, as transformers renders it. */
import { Template } from '@huggingface/jinja';
import { z } from 'zod';
import { ModelError } from '../errors.js';

/** A turn of a conversation. Fields besides, such as `tool_calls`, are for the template. */
export interface Message {
  /** `system`, `user`, `assistant`, or what the template knows besides. */
  readonly role: string;
  readonly content: string;
  readonly [field: string]: unknown;
}

export interface ChatOptions {
  /** What the assistant may call, as JSON schemas; a template that knows no tools leaves them out. */
  readonly tools?: readonly object[] | undefined;
  /** Whether the text goes on to where the assistant's answer begins (the generation prompt). Default true. */
  readonly addGenerationPrompt?: boolean;
}

/** In `tokenizer_config.json`: a template, or several by name, of which `default` is for conversations without tools. */
const templateFor = (...names: readonly string[]) =>
  z
    .union([
      z.string(),
      z
        .array(z.object({ name: z.string(), template: z.string() }))
        .transform(
          (all) => names.flatMap((name) => all.find((each) => each.name === name) ?? [])[0]?.template,
        ),
    ])
    .nullish();
const written = templateFor('default');
const writtenForTools = templateFor('tool_use', 'default');

const named = z.union([z.string(), z.object({ content: z.string() }).transform((token) => token.content)]);
/** Special tokens that a template may write. */
const TOKENS = ['bos_token', 'eos_token', 'pad_token', 'unk_token'];

/**
 * The text of a conversation, by default up to where the assistant's answer begins, by the template of a tokenizer's config.
 * It holds the tokens that begin a text, where the template writes any: none are to be added.
 * @throws ModelError MODEL_CHAT_TEMPLATE_MISSING, or MODEL_CHAT_TEMPLATE for a template that is none, or that refuses the
 *   messages.
 */
export function renderChat(
  tokenizerConfig: unknown,
  messages: readonly Message[],
  options: ChatOptions = {},
): string {
  const fields = fieldsOf(tokenizerConfig);
  return rendered(fields, parsedTemplate(templateIn(fields, options.tools)), messages, options);
}

/** Whether conversations can be rendered. */
export const hasChatTemplate = (tokenizerConfig: unknown): boolean => {
  const { success, data } = written.safeParse(fieldsOf(tokenizerConfig).chat_template);
  return success && data !== undefined && data !== null;
};

/** Of private use in Unicode, so that no conversation has them. */
const [TURN_BEGINS, TURN_ENDS] = ['\uE000', '\uE001'];
const GENERATION = /\{%(-?)\s*(end)?generation\s*(-?)%\}/g;

/**
 * A conversation as it is rendered, with what stands in `{% generation %}` blocks as stretches of its characters.
 * @returns undefined for a template without such blocks, or one that renders otherwise when they are marked
 * @throws as `renderChat` does
 */
export function renderGenerations(
  tokenizerConfig: unknown,
  messages: readonly Message[],
  options: ChatOptions = {},
): { readonly from: number; readonly to: number }[] | undefined {
  const fields = fieldsOf(tokenizerConfig);
  const source = templateIn(fields, options.tools);
  if (source.search(GENERATION) === -1) return undefined;
  // The library leaves the blocks out. A macro that is called with a block is whitespace's equal, and can mark it.
  const macro = `{% macro turn_of_the_assistant() %}${TURN_BEGINS}{{ caller() }}${TURN_ENDS}{% endmacro %}`;
  const calls = source.replace(
    GENERATION,
    (_, before, end, after) => `{%${before} ${end ? 'endcall' : 'call turn_of_the_assistant()'} ${after}%}`,
  );
  const marked = rendered(fields, parsedTemplate(macro + calls), messages, options);
  const stretches: { from: number; to: number }[] = [];
  let length = 0;
  for (const piece of marked.split(/([\uE000\uE001])/)) {
    if (piece === TURN_BEGINS) stretches.push({ from: length, to: length });
    else if (piece === TURN_ENDS) stretches.at(-1)!.to = length;
    else length += piece.length;
  }
  const isSame =
    marked.replaceAll(/[\uE000\uE001]/g, '') === rendered(fields, parsedTemplate(source), messages, options);
  return isSame ? stretches : undefined;
}

const fieldsOf = (tokenizerConfig: unknown) => (tokenizerConfig ?? {}) as Readonly<Record<string, unknown>>;

function rendered(
  fields: Readonly<Record<string, unknown>>,
  template: Template,
  messages: readonly Message[],
  { tools, addGenerationPrompt = true }: ChatOptions,
): string {
  const tokens = TOKENS.flatMap((name) => {
    const token = named.safeParse(fields[name]);
    return token.success ? [[name, token.data] as const] : [];
  });
  try {
    return template.render({
      ...Object.fromEntries(tokens),
      messages: messages.map(withoutEmptyContent),
      ...(tools && { tools }),
      add_generation_prompt: addGenerationPrompt,
    });
  } catch (cause) {
    throw invalid(`the model's chat template takes other messages: ${(cause as Error).message}`, cause);
  }
}

/** A turn that only calls tools has no content, which templates know as null. */
const withoutEmptyContent = (message: Message) =>
  message.content === '' && message.tool_calls ? { ...message, content: null } : message;

const parsedTemplates = new Map<string, Template>();
const MOST_PARSED = 8;

/** The source of the template; of several the one for tools, where there are any. */
function templateIn(fields: Readonly<Record<string, unknown>>, tools: ChatOptions['tools']): string {
  const { success, data: source } = (tools ? writtenForTools : written).safeParse(fields.chat_template);
  if (!success)
    throw invalid('expected chat_template of tokenizer_config.json to be a text, or texts by name');
  if (source === undefined || source === null) {
    throw new ModelError(
      'MODEL_CHAT_TEMPLATE_MISSING',
      'expected a model with a chat template (chat_template.jinja, or chat_template in tokenizer_config.json) to read conversations with, got one without: name such a model, or give plain text',
    );
  }
  return source;
}

function parsedTemplate(source: string): Template {
  const known = parsedTemplates.get(source);
  if (known) return known;
  let template: Template;
  try {
    template = new Template(source);
  } catch (cause) {
    throw invalid(
      `expected the model's chat template to be one of Jinja: ${(cause as Error).message}`,
      cause,
    );
  }
  if (parsedTemplates.size === MOST_PARSED) parsedTemplates.delete(parsedTemplates.keys().next().value!);
  parsedTemplates.set(source, template);
  return template;
}

const invalid = (message: string, cause?: unknown) =>
  new ModelError('MODEL_CHAT_TEMPLATE', message, { cause });
