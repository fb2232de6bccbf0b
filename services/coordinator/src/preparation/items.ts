/** Datasets as items of a run: tokenised for its model, cut to its lengths, split into training and test. */
import { type Dataset, type Said, textsAsMessages, transcriptsAsMessages } from '@rlhf-streams/data';
import {
  type ComparisonItem,
  type DatasetSpec,
  dataSpecOf,
  type RunConfig,
  specOf,
} from '@rlhf-streams/runs';
import { CoordinatorError } from '../errors.js';
import { accountFor, type OfDataset, type Outcome, type PreparedItems, type Reason } from './account.js';
import { comparisons, rankings, unfitting, withoutPreference } from './comparisons.js';
import { demonstrations } from './demonstrations.js';
import type { Encoder } from './encoder.js';
import type { Feedback } from './feedback.js';
import { prompts } from './prompts.js';
import { limitOf, type Unsplit, unfit } from './reasons.js';
import { judgedTexts, thumbItems } from './thumbs.js';

/** The items that a run makes of rows: of its main dataset, or of the one that is named. */
export function itemsOf(
  config: RunConfig,
  written: Dataset,
  encoder: Encoder,
  dataset?: string,
): PreparedItems {
  const data = dataSpecOf(specOf(config), dataset);
  // A model that was made for conversations has never seen their turns as Human and Assistant.
  const conversations = encoder.readsConversations ? transcriptsAsMessages(written) : undefined;
  const rows = conversations ?? (data.chat ? textsAsMessages(written) : undefined) ?? written;
  const of = { config, dataset, ...(conversations && { note: TRANSCRIPTS }) };
  switch (data.kind) {
    case 'demonstrations':
      return accountFor(
        of,
        demonstrations(rows, encoder, { limit: limitOf(data, encoder), assistantOnly: data.assistantOnly }),
      );
    case 'comparisons':
      return accountFor(of, comparisons(rankings(rows, data), encoder, limitOf(data, encoder)));
    case 'thumbs': {
      const judged = judgedTexts(rows);
      if (!judged)
        throw unfit(
          rows,
          'thumbs',
          '{prompt, completion, label}, each label true or false, or {prompt, chosen, rejected}',
          rows.kind === 'completion' ? rows.notThumbs : undefined,
        );
      return thumbItems(of, judged, encoder, limitOf(data, encoder));
    }
    case 'prompts':
      return accountFor(of, prompts(data, rows, encoder));
  }
}

/** The items of comparisons that another run recorded, tokenised. */
export function recordedItems(
  config: RunConfig,
  recorded: readonly (Unsplit<ComparisonItem> | { readonly dropped: Reason })[],
  encoder: Pick<Encoder, 'contextLength'>,
  dataset?: string,
): PreparedItems {
  const of = { config, dataset };
  const limit = limitOf(comparingIn(of, 'run:ID, which is recorded comparisons'), encoder);
  const outcomes = recorded.map((item): Outcome<Unsplit<ComparisonItem>> => {
    if ('dropped' in item) return item;
    const dropped = withoutPreference(item) ?? unfitting(item, limit);
    return dropped ? { dropped } : { item };
  });
  return accountFor(of, outcomes);
}

/** The items of published preferences or thumbs, whichever a run takes. Their ids go along as metadata. */
export function feedbackItems(
  config: RunConfig,
  feedback: readonly Feedback[],
  encoder: Encoder,
  dataset?: string,
): PreparedItems {
  const of = { config, dataset };
  const data = dataSpecOf(specOf(config), dataset);
  if (data.kind === 'thumbs') {
    const judged = feedback.map(({ feedback, prompt, completion, label, labeler }) =>
      completion === undefined || label === undefined
        ? { dropped: NO_THUMB }
        : {
            prompt: asked(prompt, data.chat),
            completion: said(prompt, completion, data.chat),
            label,
            labeler,
            metadata: { feedback },
          },
    );
    return thumbItems(of, judged, encoder, limitOf(data, encoder));
  }
  const comparing = comparingIn(of, 'feedback:COLLECTION, which is comparisons and thumbs');
  const { chat } = comparing;
  const ranked = feedback.map(({ feedback, prompt, completions, ranks, margin, labeler }) =>
    completions === undefined || ranks === undefined
      ? { dropped: NO_RANKING }
      : {
          prompt: asked(prompt, chat),
          completions: completions.map((text) => ({ text: said(prompt, text, chat) })),
          ranks,
          margin,
          labeler,
          metadata: { feedback },
        },
  );
  return accountFor(of, comparisons(ranked, encoder, limitOf(comparing, encoder)));
}

/** The prompt of feedback: messages, or a text that is a message of the user where texts are (`chat`). */
const asked = (prompt: Feedback['prompt'], chat = false): Said =>
  typeof prompt === 'string' && chat ? [{ role: 'user', content: prompt }] : prompt;

/** What feedback is about: to messages, it is the assistant's answer. */
const said = (prompt: Feedback['prompt'], text: string, chat = false): Said =>
  typeof asked(prompt, chat) === 'string' ? text : [{ role: 'assistant', content: text }];

/** A collection may hold both; what a method does not take is not lost, another takes it. */
const NO_THUMB: Reason = {
  words: 'a ranking, not a thumb',
  lost: false,
  ofAll: 'every feedback is a ranking, which other methods take',
};
const NO_RANKING: Reason = {
  words: 'a thumb, not a ranking',
  lost: false,
  ofAll: 'every feedback is a thumb, which other methods take',
};

/** @throws CoordinatorError RUN_SOURCE_UNFIT for methods that compare nothing. */
function comparingIn({ config, dataset }: OfDataset, source: string): DatasetSpec {
  const data = dataSpecOf(specOf(config), dataset);
  if (data.kind === 'comparisons') return data;
  throw new CoordinatorError(
    'RUN_SOURCE_UNFIT',
    `expected a ${config.method} run to name ${dataset ?? 'data'} other than ${source}`,
  );
}

const TRANSCRIPTS = 'a transcript of Human and Assistant, read as messages';
