/** Where the assistant speaks in a conversation, by the chat template of a model. */
import { isModelError } from '../errors.js';
import type { ChatOptions, Message } from './chat-template.js';

/** Characters of a text, from the first up to the one at `to`, which is no part of them. */
export interface CharacterSpan {
  readonly from: number;
  readonly to: number;
}

export interface AssistantTurns {
  /** The conversation as the template renders it; one that the assistant ends is cut behind what ends its turn. */
  readonly text: string;
  /**
   * What the assistant says: from behind the generation prompt, up to and including what ends its turn (`<|im_end|>`,
   * say), where the template ends turns so.
   */
  readonly turns: readonly CharacterSpan[];
  /** What ends a turn, the end token last in it; empty where the template ends turns with none of the end tokens. */
  readonly ending: string;
  /**
   * Whether the template is not prefix-preserving here: it renders what comes before a turn otherwise once the turn, or
   * one behind it, is there. Then turns are found by rendering the conversation with other words in their place.
   */
  readonly rewritten: boolean;
}

type Render = (messages: readonly Message[], options: ChatOptions) => string;

/** Words that no assistant says, of private use in Unicode. */
const OTHER_WORDS = '\uE002';

/**
 * Finds the turns of the assistant among the messages from `first` on.
 * @param endTexts the tokens at which generation ends, as texts
 * @param render as `renderChat` does; what it throws for the whole conversation is thrown
 */
export function assistantTurns(
  render: Render,
  messages: readonly Message[],
  {
    first = 0,
    endTexts,
    tools,
  }: { readonly first?: number; readonly endTexts: readonly string[]; readonly tools?: ChatOptions['tools'] },
): AssistantTurns {
  const whole = (all: readonly Message[]) => render(all, { tools, addGenerationPrompt: false });
  const text = whole(messages);
  const places = messages.flatMap(({ role }, i) => (role === 'assistant' && i >= first ? [i] : []));
  const last = places.at(-1);
  if (last === undefined) return { text, turns: [], ending: '', rewritten: false };

  let rewritten = false;
  const spoken = places.map((place) => {
    const { from, to } = differing(text, whole(withOtherWords(messages, place)));
    const prompt = unlessRefused(() => render(messages.slice(0, place), { tools }));
    const follows = prompt !== undefined && text.startsWith(prompt) && prompt.length <= to;
    // A conversation may begin with the assistant: nothing is prompted by.
    if (!follows && place > 0) rewritten = true;
    return { from: follows ? prompt.length : from, to };
  });
  const ending = endingOf(messages.slice(0, last + 1), endTexts, whole);
  const turns = spoken.map(({ from, to }) => ({
    from,
    to: text.startsWith(ending, to) ? to + ending.length : to,
  }));
  const isOver = last === messages.length - 1;
  return { text: isOver ? text.slice(0, turns.at(-1)!.to) : text, turns, ending, rewritten };
}

const withOtherWords = (messages: readonly Message[], place: number): Message[] =>
  messages.with(place, { role: 'assistant', content: OTHER_WORDS });

/** The characters of a text that another, of the same beginning and end, has others for. */
function differing(text: string, other: string): CharacterSpan {
  const most = Math.min(text.length, other.length);
  let from = 0;
  while (from < most && text[from] === other[from]) from++;
  let behind = 0;
  while (behind < most - from && text.at(-1 - behind) === other.at(-1 - behind)) behind++;
  return { from, to: text.length - behind };
}

/** What follows the words of a conversation's last turn up to and including the first end token; '' where there is none. */
function endingOf(
  messages: readonly Message[],
  endTexts: readonly string[],
  whole: (messages: readonly Message[]) => string,
): string {
  const text = whole(withOtherWords(messages, messages.length - 1));
  const at = text.lastIndexOf(OTHER_WORDS);
  const tail = at === -1 ? '' : text.slice(at + OTHER_WORDS.length);
  const ends = endTexts.flatMap((end) => {
    const place = tail.indexOf(end);
    return place === -1 ? [] : [place + end.length];
  });
  return ends.length === 0 ? '' : tail.slice(0, Math.min(...ends));
}

/** A template may refuse the beginning of a conversation that it takes as a whole. */
function unlessRefused(work: () => string): string | undefined {
  try {
    return work();
  } catch (error) {
    if (isModelError(error) && error.code === 'MODEL_CHAT_TEMPLATE') return undefined;
    throw error;
  }
}
