/** A run's dataset as services read it: a JSON object per line, tokenised, each marked as training or test. */
import { GivenCompletion, Learned, Message, Metadata, Split, Tokens, Tools } from '@rlhf-streams/events';
import { z } from 'zod';

export const ITEMS_FILE = 'items.jsonl';
/** Beside it, `{"format": 1}`; items without it are of the first format. It goes up when an older reader would misread a line. */
export const ITEMS_FORMAT_FILE = 'format.json';
export const ITEMS_FORMAT = 2;
export const ItemsFormat = z.object({
  format: z.int().min(1),
  /** Tokens that end a completion of the run. */
  stopTokens: z.array(z.int().min(0)).optional(),
});
/** Only items of which some tokens are learned are of the second format: readers of the first would learn all of them. */
export const formatOf = (items: readonly RunItem[]): number =>
  items.some((item) => 'learned' in item) ? ITEMS_FORMAT : 1;

const common = { split: Split };
/** Fields that a prompt has beside its text where it was made of a conversation. */
const conversation = { messages: z.array(Message).min(1).optional(), tools: Tools.optional() };

export const DemonstrationItem = z.object({
  ...common,
  promptTokens: Tokens,
  tokens: Tokens.min(1),
  learned: Learned.optional(),
});
export const PromptItem = z.object({
  ...common,
  text: z.string(),
  ...conversation,
  tokens: Tokens.min(1),
  metadata: Metadata.optional(),
  completion: GivenCompletion.optional(),
});
export const ComparisonItem = z.object({
  ...common,
  promptText: z.string(),
  ...conversation,
  promptTokens: Tokens,
  completions: z
    .array(z.object({ text: z.string(), tokens: Tokens.min(1), score: z.number().optional() }))
    .min(2),
  ranks: z.array(z.int().min(1)),
  margin: z.number().optional(),
  labeler: z.string(),
  metadata: Metadata.optional(),
});

export const ThumbItem = z.object({
  ...common,
  promptText: z.string(),
  ...conversation,
  promptTokens: Tokens,
  text: z.string(),
  tokens: Tokens.min(1),
  label: z.boolean(),
  mismatched: Tokens.min(1),
  labeler: z.string(),
  metadata: Metadata.optional(),
});

export type DemonstrationItem = z.output<typeof DemonstrationItem>;
export type PromptItem = z.output<typeof PromptItem>;
export type ComparisonItem = z.output<typeof ComparisonItem>;

export type ThumbItem = z.output<typeof ThumbItem>;

export type RunItem = DemonstrationItem | PromptItem | ComparisonItem | ThumbItem;

export const itemSchemas = {
  demonstrations: DemonstrationItem,
  prompts: PromptItem,
  comparisons: ComparisonItem,
  thumbs: ThumbItem,
} as const;

/**
 * Reasons for which rows are left out without a loss: a prompt that several rows have is used once, and only
 * `maxTestItems` held-out rows are evaluated. Such rows are not reported.
 */
export const DUPLICATE_PROMPT = 'duplicate prompt';
export const HELD_OUT_SURPLUS = 'held out beyond maxTestItems';
