/** Messages of a conversation where text is expected: only a model's chat template makes one text of them. */
import { DataError } from './errors.js';

/** A list of messages that was written as text, as JSON or as Python prints it. */
const WRITTEN_MESSAGES = /^\s*\[\s*\{\s*(['"])(?:role|content|from|value)\1\s*:/;

/** Whether a value is a message, a list of messages, or such a list as text. */
export function isConversation(value: unknown): boolean {
  if (typeof value === 'string') return WRITTEN_MESSAGES.test(value);
  if (Array.isArray(value)) return value.some((entry) => typeof entry !== 'string' && isConversation(entry));
  if (typeof value !== 'object' || value === null) return false;
  return ('role' in value && 'content' in value) || ('from' in value && 'value' in value);
}

/** @param where names the place, as in `rows.jsonl: row 3: prompt` */
export const needsChatTemplate = (where: string): DataError =>
  new DataError(
    'DATA_NEEDS_CHAT_TEMPLATE',
    `${where}: rows are conversations (messages of role and content); plain text columns are needed for now: render them with the model's chat template first`,
  );
