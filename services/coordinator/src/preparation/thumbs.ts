/** Thumbs up and down as items of a run: each gets a completion of another prompt, by which KL is estimated. */
import { type Dataset, epochOrder, type Said, type Tools } from '@rlhf-streams/data';
import type { ThumbItem } from '@rlhf-streams/runs';
import { CoordinatorError } from '../errors.js';
import { accountFor, type OfDataset, type Outcome, type PreparedItems, type Reason } from './account.js';
import { isTalk } from './conversations.js';
import type { Encoder } from './encoder.js';
import { EMPTY_COMPLETION, fitsRecord, isEmpty, type Limit, longer, TOO_LARGE } from './reasons.js';

/** A completion of a prompt that somebody judged by itself. */
export interface JudgedText {
  readonly prompt: Said;
  readonly tools?: Tools | undefined;
  readonly completion: Said;
  /** Whether it is desirable: a thumb up. */
  readonly label: boolean;
  readonly labeler: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** The rows of a dataset that are thumbs; a pair is a thumb up and a thumb down, as TRL unpairs it. */
export function judgedTexts(dataset: Dataset): JudgedText[] | undefined {
  const labeler = 'dataset';
  switch (dataset.kind) {
    case 'thumb':
      return dataset.rows.map((row) => ({ ...row, labeler }));
    case 'preference':
      return dataset.rows.flatMap(({ prompt, tools, chosen, rejected }) => [
        { prompt, tools, completion: chosen, label: true, labeler },
        { prompt, tools, completion: rejected, label: false, labeler },
      ]);
    default:
      return undefined;
  }
}

/**
 * The items of thumbs.
 * @throws CoordinatorError RUN_SOURCE_UNFIT for thumbs that all point the same way, besides what `accountFor` throws.
 */
export function thumbItems(
  of: OfDataset,
  judged: readonly (JudgedText | { readonly dropped: Reason })[],
  encoder: Pick<Encoder, 'answers'>,
  limit: Limit,
): PreparedItems {
  const outcomes = judged.map((row): Outcome<Omit<ThumbItem, 'split' | 'mismatched'>> => {
    if ('dropped' in row) return row;
    const { prompt, tools, completion, label, labeler, metadata } = row;
    if (isEmpty(completion)) return { dropped: EMPTY_COMPLETION };
    const answers = encoder.answers(prompt, [completion], { tools });
    if ('dropped' in answers) return answers;
    const { promptText, promptTokens, completions, notes } = answers;
    const item = {
      promptText,
      ...(isTalk(prompt) && { messages: prompt }),
      ...(tools && { tools }),
      promptTokens,
      ...completions[0]!,
      label,
      labeler,
      ...(metadata && { metadata }),
    };
    if (item.promptTokens.length + item.tokens.length > limit.tokens) return { dropped: longer(limit) };
    return fitsRecord(item, item.tokens.length) ? { item, notes } : { dropped: TOO_LARGE };
  });
  const { items, data } = accountFor(of, outcomes);
  const [train, test] = (['train', 'test'] as const).map((split) =>
    items.filter((item) => item.split === split),
  );
  requireBothLabels(train!);
  return { items: [...mismatched(train!, limit), ...mismatched(test!, limit)], data };
}

/** Nothing tells what is desired where all labels are alike: every completion alike would become likelier, or less likely. */
function requireBothLabels(train: readonly { readonly label: boolean }[]): void {
  const up = train.filter(({ label }) => label).length;
  if (up > 0 && up < train.length) return;
  const [came, lacks] = up > 0 ? ['up', 'down'] : ['down', 'up'];
  throw new CoordinatorError(
    'RUN_SOURCE_UNFIT',
    `expected thumbs up and thumbs down to train on, got ${train.length} ${came} and none ${lacks}: add completions whose label is ${up === 0}`,
  );
}

/** Fixed, so that all runs over the same data mismatch the same rows. */
const MISMATCH_SEED = 0;

/**
 * Gives each item the completion of another one, cut to the room after its prompt. In a shuffled order of the items it is
 * that of the next with another prompt or, where all prompts are the same, of the next. So every completion is used about
 * once, and what an item is compared with depends on no batch.
 */
function mismatched<Item extends Omit<ThumbItem, 'mismatched'>>(
  items: readonly Item[],
  limit: Limit,
): (Item & Pick<ThumbItem, 'mismatched'>)[] {
  const order = epochOrder(items.length, MISMATCH_SEED, 0);
  const prompts = items.map(({ promptTokens }) => promptTokens.join());
  const differ = prompts.some((prompt) => prompt !== prompts[0]);
  const others: number[] = [];
  order.forEach((index, place) => {
    const at = (ahead: number) => order[(place + ahead) % order.length]!;
    let ahead = 1;
    while (differ && prompts[at(ahead)] === prompts[index]) ahead++;
    others[index] = at(ahead);
  });
  return items.map((item, index) => {
    const room = limit.tokens - item.promptTokens.length;
    let tokens = items[others[index]!]!.tokens.slice(0, room);
    const fits = () => fitsRecord({ ...item, mismatched: tokens }, item.tokens.length + tokens.length);
    while (tokens.length > 1 && !fits()) tokens = tokens.slice(0, Math.ceil(tokens.length / 2));
    return { ...item, mismatched: tokens };
  });
}
