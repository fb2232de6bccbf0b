/** What stands in a prompt, a completion or a preference: a string, or the messages of a conversation. */
import { z } from 'zod';
import { DataError } from './errors.js';

export const messageSchema = z.object({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']),
  content: z.string(),
});

export const messagesSchema = z.array(messageSchema).min(1);

export type Message = z.infer<typeof messageSchema>;

/** A string (TRL's standard format) or messages (its conversational format). */
export type Content = string | Message[];

/**
 * The string that `content` is.
 *
 * @param where names the place in the error, as in `rows.jsonl: row 3: prompt`
 * @throws DATA_NEEDS_CHAT_TEMPLATE for messages, which only a chat template turns into one string
 */
export function textOf(content: Content, where: string): string {
  if (typeof content === 'string') return content;
  throw new DataError(
    'DATA_NEEDS_CHAT_TEMPLATE',
    `${where}: expected a string, got ${content.length} messages, which need the model's chat template; render them first, or use string columns`,
  );
}
