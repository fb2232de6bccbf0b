/** Texts and conversations to imitate, cut to the length that the run takes. */
import type { CompletionRow, Dataset } from '@rlhf-streams/data';
import type { DatasetSpec, DemonstrationItem } from '@rlhf-streams/runs';
import type { Outcome } from './account.js';
import { type Demonstrated, isTalk } from './conversations.js';
import type { Encoder } from './encoder.js';
import {
  EMPTY_COMPLETION,
  EMPTY_TEXT,
  fitsRecord,
  isEmpty,
  type Limit,
  longer,
  noRoom,
  SAYS_NOTHING,
  TOO_LARGE,
  unfit,
} from './reasons.js';

type Demonstration = Omit<DemonstrationItem, 'split'>;

/** @param assistantOnly whether only what the assistant says is learned of a conversation */
export function demonstrations(
  dataset: Dataset,
  encoder: Encoder,
  { limit, assistantOnly = false }: { readonly limit: Limit } & Pick<DatasetSpec, 'assistantOnly'>,
): Outcome<Demonstration>[] {
  const { begin, encode, end } = encoder;
  const text = (promptTokens: readonly number[], completion: string) =>
    shortened({ promptTokens: [...promptTokens], tokens: [...encode(completion), end] }, limit);
  const conversation = (...[messages, options]: Parameters<Encoder['conversation']>) => {
    const whole = encoder.conversation(messages, options);
    if (whole === undefined) return { dropped: SAYS_NOTHING };
    return 'dropped' in whole ? whole : shortened(whole, limit);
  };
  const completion = ({ prompt, completion: said, tools }: CompletionRow): Outcome<Demonstration> => {
    if (isEmpty(said)) return { dropped: EMPTY_COMPLETION };
    if (isTalk(prompt) && isTalk(said) && assistantOnly)
      return conversation([...prompt, ...said], { assistantOnly, first: prompt.length, tools });
    const answers = encoder.answers(prompt, [said], { tools });
    if ('dropped' in answers) return answers;
    const { promptTokens, completions, notes } = answers;
    return shortened({ promptTokens, tokens: completions[0]!.tokens, ...(notes && { notes }) }, limit);
  };
  switch (dataset.kind) {
    case 'text':
    case 'labelled':
      if (assistantOnly) break;
      return dataset.rows.map((row) => (isEmpty(row.text) ? { dropped: EMPTY_TEXT } : text(begin, row.text)));
    case 'completion':
    case 'thumb':
      return dataset.rows.map(completion);
    case 'conversation':
      return dataset.rows.map(({ messages, tools }) => conversation(messages, { assistantOnly, tools }));
  }
  throw unfit(
    dataset,
    assistantOnly ? 'demonstrations with assistantOnly' : 'demonstrations',
    assistantOnly
      ? '{messages} or {prompt, completion}'
      : '{text}, {text, label}, {prompt, completion} or {messages}',
  );
}

function shortened({ notes, ...whole }: Demonstrated, limit: Limit): Outcome<Demonstration> {
  const room = limit.tokens - whole.promptTokens.length;
  if (room <= 0) return { dropped: noRoom(limit) };
  const learned = whole.learned?.flatMap(({ from, count }) =>
    from < room ? [{ from, count: Math.min(count, room - from) }] : [],
  );
  const item = { ...whole, tokens: whole.tokens.slice(0, room), ...(learned && { learned }) };
  if (!fitsRecord(item, item.tokens.length)) return { dropped: TOO_LARGE };
  return { item, notes, cut: whole.tokens.length > room ? longer(limit) : undefined };
}
