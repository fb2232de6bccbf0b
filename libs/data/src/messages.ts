/** Conversations as people write them down, read as lists of messages. */
import { z } from 'zod';
import { typeInWords } from './errors.js';

/** A turn. Fields besides, such as `tool_calls` and `name`, are for the chat template of a model. */
export type Message = { role: string; content: string; [field: string]: unknown };
/** Functions that an assistant may call, as JSON schemas. */
export type Tools = Record<string, unknown>[];
/** A text, or the messages of a conversation. */
export type Said = string | Message[];

/** Names of turns in the format of ShareGPT, `{from, value}`, in the terms of chat templates. */
const SHAREGPT_ROLES: Readonly<Record<string, string>> = {
  human: 'user',
  user: 'user',
  gpt: 'assistant',
  chatgpt: 'assistant',
  assistant: 'assistant',
  model: 'assistant',
  bot: 'assistant',
  system: 'system',
  tool: 'tool',
  observation: 'tool',
  function_response: 'tool',
};

/** A list of messages that was written as text, as JSON or as Python prints it. */
const WRITTEN_MESSAGES = /^\s*\[\s*\{\s*(['"])(?:role|content|from|value)\1\s*:/;

/** Whether a value is a message, a list of messages, or such a list as text. */
function isConversation(value: unknown): boolean {
  if (typeof value === 'string') return WRITTEN_MESSAGES.test(value);
  if (Array.isArray(value)) return value.some((entry) => typeof entry !== 'string' && isConversation(entry));
  if (typeof value !== 'object' || value === null) return false;
  return ('role' in value && 'content' in value) || ('from' in value && 'value' in value);
}

type Issue = (message: string, ...path: (string | number)[]) => undefined;

const issueIn =
  (context: z.RefinementCtx): Issue =>
  (message, ...path) => {
    context.addIssue({ code: 'custom', path, message });
    return undefined;
  };

/**
 * Messages `{role, content}`, or those of ShareGPT, `{from, value}`: as a list, as one alone, as a list that was written as
 * JSON, or as an object of lists. Contents that are lists of parts of type text become one text.
 */
export const messages = z
  .unknown()
  .transform((value, context): Message[] => asMessages(value, issueIn(context)) ?? z.NEVER);

/** A text, or messages. */
export const said = z.unknown().transform((value, context): Said => {
  if (typeof value === 'string' && !isConversation(value)) return value;
  const issue = issueIn(context);
  if (!isConversation(value) && !(Array.isArray(value) && value.length === 0))
    return issue(`expected a string, or messages {role, content}, got ${typeInWords(value)}`) ?? z.NEVER;
  return asMessages(value, issue) ?? z.NEVER;
});

function asMessages(value: unknown, issue: Issue): Message[] | undefined {
  if (typeof value === 'string' && WRITTEN_MESSAGES.test(value)) {
    const written = parsed(value);
    if (written === undefined)
      return issue(
        'expected messages as JSON, got a list as Python prints it; write it with json.dumps, or as a list',
      );
    return asMessages(written, issue);
  }
  if (Array.isArray(value)) {
    if (value.length === 0) return issue('expected a message at least, got an empty list');
    const read = value.map((entry, i) => asMessage(entry, (message, ...path) => issue(message, i, ...path)));
    return read.includes(undefined) ? undefined : (read as Message[]);
  }
  if (!isConversation(value))
    return issue(`expected a list of messages {role, content}, got ${typeInWords(value)}`);
  const fields = Object.entries(value as object);
  const [, first] = fields[0]!;
  // The lists of an object are as long as each other: so datasets stores lists of objects.
  if (fields.every(([, list]) => Array.isArray(list) && list.length === (first as unknown[]).length))
    return asMessages(
      (first as unknown[]).map((_, i) => Object.fromEntries(fields.map(([name, list]) => [name, list[i]]))),
      issue,
    );
  return asMessages([value], issue);
}

function asMessage(value: unknown, issue: Issue): Message | undefined {
  if (!isConversation(value) || typeof value !== 'object' || Array.isArray(value))
    return issue(`expected a message {role, content}, got ${typeInWords(value)}`);
  const { from, value: words, ...fields } = value as Record<string, unknown>;
  const isShareGpt = !('role' in fields);
  const { role: named, content, ...others } = isShareGpt ? { ...fields, role: from, content: words } : fields;
  if (typeof named !== 'string' || named === '')
    return issue(
      `expected the name of a role, got ${named === '' ? 'an empty string' : typeInWords(named)}`,
      isShareGpt ? 'from' : 'role',
    );
  const role = isShareGpt ? SHAREGPT_ROLES[named] : named;
  if (role === undefined)
    return issue(
      `expected from to be one of ${Object.keys(SHAREGPT_ROLES).join(', ')}, got ${JSON.stringify(named.slice(0, 40))}`,
      'from',
    );
  const rest = withoutNulls(others) as Record<string, unknown>;
  const text = contentOf(content, rest, (message, ...path) =>
    issue(message, isShareGpt ? 'value' : 'content', ...path),
  );
  return text === undefined ? undefined : { role, content: text, ...rest };
}

function contentOf(content: unknown, rest: Record<string, unknown>, issue: Issue): string | undefined {
  if (typeof content === 'string') return content;
  // A turn that only calls tools has nothing to say.
  if ((content === null || content === undefined) && rest.tool_calls) return '';
  if (!Array.isArray(content)) return issue(`expected a string, got ${typeInWords(content)}`);
  const texts = content.map((part, i) => {
    if (typeof part === 'string') return part;
    const { type = 'text', text } = (part ?? {}) as { type?: unknown; text?: unknown };
    if (type === 'text' && typeof text === 'string') return text;
    return issue(
      `expected a text, or parts {type: "text", text}, got ${ofType(type)}: models here read text alone`,
      i,
    );
  });
  return texts.includes(undefined) ? undefined : texts.join('');
}

const ofType = (type: unknown): string =>
  typeof type === 'string' && type !== 'text'
    ? `a part of type ${type.slice(0, 40)}`
    : 'a part without a text';

/** What the assistant may call, as a list or as JSON; null and an empty list mean nothing. */
export const tools = z
  .unknown()
  .transform((value, context): Tools | undefined => {
    if (value === null || value === undefined || value === '') return undefined;
    const list = typeof value === 'string' ? parsed(value) : value;
    if (!Array.isArray(list)) {
      const came = typeof value === 'string' ? 'a text that is none' : typeInWords(value);
      return issueIn(context)(`expected a list of tools, or such a list as JSON, got ${came}`) ?? z.NEVER;
    }
    if (list.length === 0) return undefined;
    const each = list.map((tool) => (typeof tool === 'string' ? parsed(tool) : tool));
    const other = each.findIndex((tool) => typeof tool !== 'object' || tool === null || Array.isArray(tool));
    if (other === -1) return withoutNulls(each) as Tools;
    return (
      issueIn(context)(
        `expected a tool as an object, such as {type: "function", function: {...}}, got ${typeInWords(list[other])}`,
        other,
      ) ?? z.NEVER
    );
  })
  .optional();

/** Files of columns give every message and tool the fields of all others, as null. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== 'object' || value === null) return value;
  const there = Object.entries(value).filter(([, entry]) => entry !== null && entry !== undefined);
  return Object.fromEntries(there.map(([name, entry]) => [name, withoutNulls(entry)]));
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
