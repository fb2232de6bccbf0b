/** Texts read as messages: transcripts as Anthropic's hh-rlhf has them, "\n\nHuman: ...\n\nAssistant: ...", and prompts with their answers. */
import { isDeepStrictEqual } from 'node:util';
import { answersOf, unanswered } from './answers.js';
import type { Dataset } from './columns.js';
import { DataError } from './errors.js';
import type { Message, Said } from './messages.js';

const BEGINNING = /^\s*Human:/;
const TURN = /(?:^|\n\n)(Human|Assistant):[ ]?/;

const isTranscript = (text: Said): boolean => typeof text === 'string' && BEGINNING.test(text);

function messagesOf(text: string): Message[] {
  const [, ...turns] = text.trimStart().split(TURN);
  const messages: Message[] = [];
  for (let i = 0; i < turns.length; i += 2)
    messages.push({
      role: turns[i] === 'Human' ? 'user' : 'assistant',
      content: turns[i + 1]!.trim(),
    });
  return messages;
}

/**
 * A dataset whose prompts are texts, with a message of the user in the place of each, and an answer of the assistant in that
 * of each completion.
 * @returns undefined for a dataset without such prompts
 */
export function textsAsMessages(dataset: Dataset): Dataset | undefined {
  if (!('prompt' in dataset.rows[0]!) || typeof dataset.rows[0].prompt !== 'string') return undefined;
  return { ...dataset, rows: (dataset.rows as { prompt: Said }[]).map(asTurns) } as Dataset;
}

function asTurns({ prompt, ...row }: { prompt: Said } & Record<string, unknown>) {
  const turn = (role: string) => (text: unknown) => [{ role, content: (text as string).trim() }];
  const answer = turn('assistant');
  const { chosen, rejected, completion, completions } = row;
  return {
    ...row,
    prompt: turn('user')(prompt),
    ...(chosen !== undefined && { chosen: answer(chosen), rejected: answer(rejected) }),
    ...(completion !== undefined && { completion: answer(completion) }),
    ...(completions !== undefined && { completions: (completions as Said[]).map(answer) }),
  };
}

/** A prompt ends where the assistant is to answer. */
const asked = (text: string): Message[] => unanswered(messagesOf(text));

/**
 * A dataset whose texts are all transcripts, with messages in their place.
 * @returns undefined for any other dataset
 * @throws DataError DATA_ROW_INVALID for a row of which the turns make no prompt and answers
 */
export function transcriptsAsMessages(dataset: Dataset): Dataset | undefined {
  switch (dataset.kind) {
    case 'text':
      if (!dataset.rows.every(({ text }) => isTranscript(text))) return undefined;
      return {
        kind: 'conversation',
        rows: dataset.rows.map(({ text, ...rest }) => ({ ...rest, messages: messagesOf(text) })),
      };
    case 'prompt':
      if (!dataset.rows.every(({ prompt }) => isTranscript(prompt))) return undefined;
      return {
        kind: 'prompt',
        rows: dataset.rows.map((row) => ({ ...row, prompt: asked(row.prompt as string) })),
      };
    case 'completion':
    case 'thumb':
    case 'preference':
    case 'ranking':
      if (!dataset.rows.every(isTranscriptRow)) return undefined;
      return { ...dataset, rows: dataset.rows.map(asMessages) } as Dataset;
    default:
      return undefined;
  }
}

type AnsweredRow = { prompt: Said } & (
  | { chosen: Said; rejected: Said }
  | { completion: Said }
  | { completions: Said[] }
);

const isTranscriptRow = (row: AnsweredRow): boolean =>
  isTranscript(row.prompt) ||
  (row.prompt === '' && completionsOf(row).every(([, said]) => isTranscript(said)));

/** Completions by where they stand. */
const completionsOf = (row: AnsweredRow): [string, Said][] => {
  if ('chosen' in row)
    return [
      ['chosen', row.chosen],
      ['rejected', row.rejected],
    ];
  if ('completion' in row) return [['completion', row.completion]];
  return row.completions.map((said, i) => [`completions.${i}`, said]);
};

function asMessages<Row extends AnsweredRow>(row: Row, index: number): Row {
  const completions = completionsOf(row);
  const whole = completions.map(([, said]) => messagesOf(`${row.prompt as string}${said as string}`));
  const refuse = (path: readonly (string | number)[], message: string): never => {
    throw new DataError(
      'DATA_ROW_INVALID',
      `row ${index + 1}: ${path.join('.')}, a transcript of Human and Assistant: ${message}`,
    );
  };
  const places = completions.map(([place]) => [place]);
  const answers = answersOf(promptOf(row.prompt as string, whole), whole, places, refuse)!;
  const { prompt, completions: said } = answers;
  if ('chosen' in row) return { ...row, prompt, chosen: said[0]!, rejected: said[1]! };
  if ('completion' in row) return { ...row, prompt, completion: said[0]! };
  return { ...row, prompt, completions: said };
}

/** The prompt as messages; undefined where it is what the conversations turn out to have in common. */
function promptOf(text: string, conversations: readonly (readonly Message[])[]): Message[] | undefined {
  const prompt = asked(text);
  const begins = (messages: readonly Message[]) =>
    isDeepStrictEqual(messages.slice(0, prompt.length), prompt) && messages.length > prompt.length;
  if (prompt.length > 0 && conversations.every(begins)) return prompt;
  const [first, ...others] = conversations as [readonly Message[], ...(readonly Message[])[]];
  // Where all conversations are the same, the last answer is the completion, and the rest is the prompt.
  return others.every((other) => isDeepStrictEqual(other, first)) ? unanswered(first) : undefined;
}
