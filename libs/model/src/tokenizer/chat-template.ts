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

/** In `tokenizer_config.json`: a template, or several by name, of which `default` is for conversations without tools. */
const written = z
  .union([
    z.string(),
    z
      .array(z.object({ name: z.string(), template: z.string() }))
      .transform((named) => named.find(({ name }) => name === 'default')?.template),
  ])
  .nullish();

const named = z.union([z.string(), z.object({ content: z.string() }).transform((token) => token.content)]);
/** Special tokens that a template may write. */
const TOKENS = ['bos_token', 'eos_token', 'pad_token', 'unk_token'];

/**
 * The text of a conversation up to where the assistant's answer begins, by the template of a tokenizer's config. It holds
 * the tokens that begin a text, where the template writes any: none are to be added.
 * @throws ModelError MODEL_CHAT_TEMPLATE_MISSING, or MODEL_CHAT_TEMPLATE for a template that is none, or that refuses the
 *   messages.
 */
export function renderChat(tokenizerConfig: unknown, messages: readonly Message[]): string {
  const fields = (tokenizerConfig ?? {}) as Readonly<Record<string, unknown>>;
  const template = parsedTemplate(fields.chat_template);
  const tokens = TOKENS.flatMap((name) => {
    const token = named.safeParse(fields[name]);
    return token.success ? [[name, token.data] as const] : [];
  });
  try {
    return template.render({ ...Object.fromEntries(tokens), messages, add_generation_prompt: true });
  } catch (cause) {
    throw invalid(`the model's chat template takes other messages: ${(cause as Error).message}`, cause);
  }
}

const parsedTemplates = new Map<string, Template>();
const MOST_PARSED = 8;

function parsedTemplate(field: unknown): Template {
  const { success, data: source } = written.safeParse(field);
  if (!success)
    throw invalid('expected chat_template of tokenizer_config.json to be a text, or texts by name');
  if (source === undefined || source === null) {
    throw new ModelError(
      'MODEL_CHAT_TEMPLATE_MISSING',
      'expected a model with a chat template (chat_template.jinja, or chat_template in tokenizer_config.json) to read conversations with, got one without: name such a model, or give prompts as plain text',
    );
  }
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
