/** Prompts that a policy answers, as texts and conversations have them. */
import { type Dataset, promptOf, type Said, type Tools, unanswered } from '@rlhf-streams/data';
import type { PromptItem, PromptsSpec } from '@rlhf-streams/runs';
import type { Outcome, Reason } from './account.js';
import { isTalk } from './conversations.js';
import type { Encoder } from './encoder.js';
import {
  contextOf,
  DUPLICATE,
  fitsRecord,
  type Kept,
  longer,
  lost,
  NOTHING_ASKED,
  noRoom,
  TOO_LARGE,
  type Unsplit,
  unfit,
} from './reasons.js';

/** What a prompt is made of. */
interface RawPrompt extends Kept {
  readonly prompt: Said;
  readonly tools?: Tools | undefined;
  readonly metadata?: Record<string, unknown>;
  /** A completion that stands in for samples. */
  readonly completion?: Said | undefined;
}

/** Each prompt once, with what goes along. */
export function prompts(
  { words, given = false }: Pick<PromptsSpec, 'words' | 'given'>,
  dataset: Dataset,
  encoder: Encoder,
): Outcome<Unsplit<PromptItem>>[] {
  const limit = contextOf(encoder);
  const known = new Map<string, Outcome<Unsplit<PromptItem>>>();
  const outcomeOf = (raw: RawPrompt): Outcome<Unsplit<PromptItem>> => {
    const { prompt, tools, metadata, kept, completion } = raw;
    const answers = completion === undefined ? undefined : encoder.answers(prompt, [completion], { tools });
    if (answers && 'dropped' in answers) return answers;
    const encoded = encoder.prompt(prompt, tools);
    if ('dropped' in encoded) return encoded;
    const { text, tokens } = encoded;
    if (tokens.length >= limit.tokens) return { dropped: noRoom(limit) };
    const decides = {
      text,
      ...(isTalk(prompt) && { messages: prompt }),
      ...(tools && { tools }),
      tokens,
      ...(metadata && { metadata }),
    };
    const given = answers?.completions[0];
    const whole = given?.tokens.length ?? 0;
    const room = limit.tokens - tokens.length;
    const item = {
      ...decides,
      ...(kept && { metadata: { ...metadata, ...kept } }),
      ...(given && { completion: { text: given.text, tokens: given.tokens.slice(0, room) } }),
    };
    if (!fitsRecord(item, 0)) return { dropped: TOO_LARGE };
    return { item, decides, notes: answers?.notes, cut: whole > room ? longer(limit) : undefined };
  };
  return rawPrompts(dataset, words, given).map((raw) => {
    if ('dropped' in raw) return raw;
    const { prompt, tools, metadata } = raw;
    const isText = typeof prompt === 'string' && !tools && !metadata;
    const key = isText ? prompt : JSON.stringify([prompt, metadata, ...(tools ? [tools] : [])]);
    const first = known.get(key);
    if (first) return 'item' in first ? { dropped: DUPLICATE } : first;
    const outcome = outcomeOf(raw);
    known.set(key, outcome);
    return outcome;
  });
}

function rawPrompts(dataset: Dataset, words: number, given: boolean): (RawPrompt | { dropped: Reason })[] {
  if (given) return answeredPrompts(dataset);
  switch (dataset.kind) {
    case 'text':
    case 'labelled': {
      const dropped = lost(`too short to take ${words} words of and leave two`, 'lower promptWords');
      return dataset.rows.map(({ text, kept }) => {
        const prompt = promptOf(text, words);
        return prompt === undefined ? { dropped } : { prompt, kept };
      });
    }
    case 'conversation':
      return dataset.rows.map(({ messages, ...rest }) => {
        const prompt = unanswered(messages);
        return prompt.length > 0 ? { prompt, ...rest } : { dropped: NOTHING_ASKED };
      });
    case 'prompt':
      return dataset.rows;
    case 'completion':
    case 'thumb':
    case 'preference':
    case 'ranking':
      return dataset.rows.map(({ prompt, tools, kept }) => ({ prompt, tools, kept }));
    case 'question':
      return dataset.rows.map(({ question, metadata, kept }) => ({
        prompt: question,
        kept: { ...metadata, ...kept },
      }));
    case 'sentences':
      throw unfit(dataset, 'prompts', '{prompt}, {messages} or {text}');
  }
}

/** Prompts with the completion that their rows have, of several the best. */
function answeredPrompts(dataset: Dataset): RawPrompt[] {
  switch (dataset.kind) {
    case 'completion':
      return dataset.rows;
    case 'preference':
      return dataset.rows.map(({ prompt, tools, chosen, kept }) => ({
        prompt,
        tools,
        completion: chosen,
        kept,
      }));
    case 'ranking':
      return dataset.rows.map(({ prompt, tools, completions, ranks, kept }) => ({
        prompt,
        tools,
        completion: completions[ranks.indexOf(Math.min(...ranks))],
        kept,
      }));
    default:
      throw unfit(
        dataset,
        'given completions',
        '{prompt, completion}, {prompt, chosen, rejected} or rankings',
      );
  }
}
