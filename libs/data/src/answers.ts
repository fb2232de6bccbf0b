/** Prompts and what answers them, told apart wherever the messages of a row stand. */
import { isDeepStrictEqual } from 'node:util';
import type { Message, Said } from './messages.js';

const isAnswer = (message: Message | undefined): boolean => message?.role === 'assistant';

/** A conversation up to where the assistant is to answer: what it said last is left to be said. */
export const unanswered = (messages: readonly Message[]): Message[] =>
  messages.slice(0, messages.findLastIndex((message) => !isAnswer(message)) + 1);

/** Completions of one prompt: all are texts, as is the prompt, or all are messages, of which the last is the assistant's. */
export interface Answers {
  readonly prompt: Said;
  readonly completions: Said[];
}

/** Where something stands in a row. */
type Path = readonly (string | number)[];

/**
 * Tells the prompt and its completions apart. Messages may be a whole conversation in each completion, of which the prompt
 * is what they have in common (with or without a prompt column that repeats it), or answers to a prompt that is a text of
 * the user or messages. Texts are left as they are.
 * @param paths where each completion stands
 * @param issue is told where something is wrong, and what
 * @returns undefined when there was an issue
 */
export function answersOf(
  prompt: Said | undefined,
  completions: readonly Said[],
  paths: readonly Path[],
  issue: (path: Path, message: string) => undefined,
): Answers | undefined {
  if (typeof prompt !== 'object' && completions.every((completion) => typeof completion === 'string'))
    return { prompt: prompt ?? '', completions: [...completions] };

  const turns = completions.map((completion): Message[] =>
    typeof completion === 'string' ? [{ role: 'assistant', content: completion }] : completion,
  );
  const userLast = turns.findIndex((messages) => !isAnswer(messages.at(-1)));
  if (userLast !== -1)
    return issue(
      [...paths[userLast]!, turns[userLast]!.length - 1, 'role'],
      `expected the assistant's answer last, got a message of ${turns[userLast]!.at(-1)!.role}; take it off, or leave the row out`,
    );

  const answerAlone = turns.some(([first]) => isAnswer(first));
  if (answerAlone && prompt === undefined)
    return issue(paths[0]!, "expected a conversation, got the assistant's answer alone; add a prompt column");
  if (typeof prompt === 'object' || (prompt !== undefined && answerAlone)) {
    const asked: Message[] = typeof prompt === 'object' ? prompt : [{ role: 'user', content: prompt }];
    if (isAnswer(asked.at(-1)))
      return issue(
        ['prompt'],
        "expected a message to answer last, got the assistant's own; move it into the completions",
      );
    const answers = turns.map((messages) => withoutBeginning(messages, asked));
    const other = answers.findIndex(([first]) => !isAnswer(first));
    if (other === -1) return { prompt: asked, completions: answers };
    return issue(
      paths[other]!,
      `expected the answer to prompt, or a conversation that begins with prompt, got one that begins with a message of ${answers[other]![0]!.role}`,
    );
  }
  const shared = sharedTurns(turns);
  if (shared === 0)
    return issue(
      paths[0]!,
      `expected messages in common with ${paths[1]?.join('.') ?? 'others'} up to an answer of the assistant, to be the prompt; add a prompt column`,
    );
  const asked = turns[0]!.slice(0, shared);
  if (prompt !== undefined && !asked.some(({ content }) => content.includes(prompt.trim())))
    return issue(
      ['prompt'],
      `expected a text that is among the messages which ${paths[0]!.join('.')} begins with, got another; leave the prompt column out where the messages have it all`,
    );
  return { prompt: asked, completions: turns.map((messages) => messages.slice(shared)) };
}

const withoutBeginning = (messages: readonly Message[], beginning: readonly Message[]): Message[] =>
  messages.length > beginning.length && isDeepStrictEqual(messages.slice(0, beginning.length), beginning)
    ? messages.slice(beginning.length)
    : [...messages];

/** How many messages all conversations begin with, before an answer in each; of one alone, those before its last answer. */
function sharedTurns(conversations: readonly (readonly Message[])[]): number {
  const [first, ...others] = conversations as [readonly Message[], ...(readonly Message[])[]];
  let count = 0;
  if (others.length === 0) count = unanswered(first).length;
  else {
    const most = Math.min(...conversations.map(({ length }) => length)) - 1;
    while (count < most && others.every((other) => isDeepStrictEqual(other[count], first[count]))) count++;
  }
  while (count > 0 && !conversations.every((messages) => isAnswer(messages[count]))) count--;
  // What the assistant said is no prompt by itself.
  while (count > 0 && isAnswer(first[count - 1])) count--;
  return count;
}
