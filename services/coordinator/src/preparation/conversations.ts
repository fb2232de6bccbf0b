/** Conversations as tokens: what a model's chat template makes of them, and which of the tokens the assistant says. */
import type { Said, Tools } from '@rlhf-streams/data';
import {
  type AssistantTurns,
  assistantTurns,
  type CharacterSpan,
  type Message,
  type Tokenizer,
} from '@rlhf-streams/model';
import type { DemonstrationItem } from '@rlhf-streams/runs';
import type { Reason } from './account.js';
import { lost } from './reasons.js';

/** What reads conversations: a tokenizer with its chat template, and the tokens at any of which generation ends. */
export interface ConversationReader
  extends Pick<Tokenizer, 'encode' | 'tokenOf' | 'renderChat' | 'renderGenerations'> {
  readonly endTokens: readonly number[];
}

/** Completions of a prompt as tokens. */
export interface EncodedAnswers {
  readonly promptText: string;
  readonly promptTokens: number[];
  /** Their texts, as people read them, and their tokens, with the token that ends them. */
  readonly completions: readonly { readonly text: string; readonly tokens: number[] }[];
  /** What is to be known of how they were read. */
  readonly notes?: readonly string[];
}

const CONTINUES = { continues: true };
const REWRITTEN =
  'the chat template is not prefix-preserving: it renders a turn, or what comes before it, otherwise in a longer conversation; turns were found by rendering again';
const END_ADDED = "the chat template ends no turn with one of the model's end tokens; one was added";
const APART: Reason = lost('the chat template renders the prompt otherwise for each completion');

/** Answers of the assistant to a conversation, as the template renders them, up to and including what ends a turn. */
export function encodeAnswers(
  reader: ConversationReader,
  prompt: readonly Message[],
  completions: readonly (readonly Message[])[],
  tools?: Tools,
): EncodedAnswers | { readonly dropped: Reason } {
  const whole = completions.map((completion) =>
    assistantTurns(reader.renderChat, [...prompt, ...completion], {
      first: prompt.length,
      endTexts: endTextsOf(reader),
      tools,
    }),
  );
  const asked = reader.renderChat(prompt, { tools });
  const isBefore = (text: string) => whole.every((each) => each.text.startsWith(text));
  const promptText = isBefore(asked) ? asked : whole[0]!.text.slice(0, whole[0]!.turns[0]!.from);
  if (promptText === '' || !isBefore(promptText)) return { dropped: APART };
  return {
    promptText,
    promptTokens: reader.encode(promptText),
    completions: whole.map((each, i) => {
      const said = each.text.slice(promptText.length);
      const [only, ...others] = completions[i]!;
      return {
        text:
          others.length === 0 && !only!.tool_calls
            ? only!.content
            : said.slice(0, said.length - each.ending.length),
        tokens: ended(reader, each, reader.encode(said, CONTINUES)),
      };
    }),
    ...notesOf(whole),
  };
}

export type Demonstrated = Omit<DemonstrationItem, 'split'> & { readonly notes?: readonly string[] };

/** A whole conversation to imitate: all of it is learned. */
export function encodeConversation(
  reader: ConversationReader,
  messages: readonly Message[],
  tools?: Tools,
): Demonstrated {
  const rendered = assistantTurns(reader.renderChat, messages, { endTexts: endTextsOf(reader), tools });
  const tokens = reader.encode(rendered.text);
  if (!isAnswered(messages)) return { promptTokens: [], tokens };
  return { promptTokens: [], tokens: ended(reader, rendered, tokens), ...notesOf([rendered]) };
}

/**
 * A conversation of which only what the assistant says from message `first` on is learned: what stands in the template's
 * `{% generation %}` blocks where it has such, else from behind the generation prompt to the end of each turn.
 * @returns undefined where the assistant says nothing
 */
export function encodeAssistantTurns(
  reader: ConversationReader,
  messages: readonly Message[],
  { first = 0, tools }: { readonly first?: number; readonly tools?: Tools | undefined } = {},
): Demonstrated | undefined {
  const rendered = assistantTurns(reader.renderChat, messages, {
    first,
    endTexts: endTextsOf(reader),
    tools,
  });
  const beginning = rendered.turns[0]?.from ?? 0;
  const options = { tools, addGenerationPrompt: false };
  const marked = reader.renderGenerations(messages, options)?.filter(({ to }) => to > beginning);
  const text = marked ? reader.renderChat(messages, options) : rendered.text;
  const turns = (marked ?? rendered.turns).filter(({ from, to }) => to > from);
  if (turns.length === 0) return undefined;
  const said = tokensOf(reader, text, turns);
  const last = said.learned.at(-1)!;
  if (!marked && isAnswered(messages)) {
    said.tokens = ended(reader, rendered, said.tokens);
    last.count = said.tokens.length - last.from;
  }
  const { learned, ...rest } = said;
  return { ...rest, ...(learned.length > 1 && { learned }), ...(!marked && notesOf([rendered])) };
}

const isAnswered = (messages: readonly Message[]): boolean => messages.at(-1)!.role === 'assistant';

/** A text of which some characters are learned, as tokens from the first learned one to the last. */
function tokensOf(
  reader: ConversationReader,
  text: string,
  turns: readonly CharacterSpan[],
): { promptTokens: number[]; tokens: number[]; learned: { from: number; count: number }[] } {
  const promptTokens = reader.encode(text.slice(0, turns[0]!.from));
  const tokens: number[] = [];
  const learned: { from: number; count: number }[] = [];
  let place = turns[0]!.from;
  for (const { from, to } of turns) {
    tokens.push(...reader.encode(text.slice(place, from), CONTINUES));
    const said = reader.encode(text.slice(from, to), CONTINUES);
    learned.push({ from: tokens.length, count: said.length });
    tokens.push(...said);
    place = to;
  }
  return { promptTokens, tokens, learned };
}

const endTextsOf = ({ endTokens, tokenOf }: ConversationReader): string[] =>
  endTokens.flatMap((token) => tokenOf(token) ?? []);

/** What nothing ends would be gone on with. */
const ended = ({ endTokens }: ConversationReader, { ending }: AssistantTurns, tokens: number[]): number[] =>
  ending === '' ? [...tokens, endTokens[0]!] : tokens;

function notesOf(rendered: readonly AssistantTurns[]): { notes?: string[] } {
  const notes = [
    ...(rendered.some(({ rewritten }) => rewritten) ? [REWRITTEN] : []),
    ...(rendered.some(({ ending, turns }) => ending === '' && turns.length > 0) ? [END_ADDED] : []),
  ];
  return notes.length > 0 ? { notes } : {};
}

/** Messages of a prompt or completion of a conversation; rows of a dataset are all texts or all conversations. */
export const isTalk = (said: Said): said is Exclude<Said, string> => typeof said !== 'string';
