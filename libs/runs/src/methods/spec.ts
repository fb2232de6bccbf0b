/**
 * What a method is to the services: everything in which methods differ, but for their mathematics (`libs/alignment`)
 * and what they do with the items of a step (`libs/training`). Services read these fields and know no method by name.
 */
import type { ModelRecord, Sampling, StreamName } from '@rlhf-streams/events';
import type { z } from 'zod';
import type { DataOrigin } from '../sources.js';

/** A run's configuration by one method. Its `meta` has title, description, source and the smallest example. */
export type MethodSchema = z.ZodObject<{ method: z.ZodLiteral<string> }, z.core.$strict>;

export interface MethodSpec<Schema extends z.ZodObject = MethodSchema> {
  readonly config: Schema;
  /** Key of the configuration under which the method's own hyperparameters stand: a replay may change them. */
  readonly hyperparameters?: keyof z.output<Schema> & string;
  /** The models and scorers that a configuration may name, unless its plan says which; the run's own model is the first. */
  readonly models: readonly ModelRole[];
  /** The models that it trains, unless its plan says which. The first is published; a method without any only measures. */
  readonly trains: readonly TrainedModel[];
  /** The most sequences of an item of a step, which are in one micro-batch: those of a comparison are compared there. */
  readonly sequencesPerItem: number;
  /**
   * What runs did that builds started which did not know a setting yet: values of settings that `run.started` lacks, where
   * they are not the defaults.
   */
  readonly earlier?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** What its versions are: models that generate texts, or models that score them. */
  readonly publishes: 'policy' | 'reward model';
  readonly progress: Progress;
  /** Names of what its steps report, `scores/*` for any that begin so; those of held-out items begin with `eval/`. */
  readonly metrics: readonly string[];
  /** What a run of this configuration asks of the services. */
  plan(config: z.output<Schema>): Plan;
}

/** What depends on the configuration of a run. */
export interface Plan {
  /** The roles and the trained models of this configuration, where they depend on it. */
  readonly models?: readonly ModelRole[];
  readonly trains?: readonly TrainedModel[];
  /** The main dataset: epochs are passes over it, and new tokenizers learn from it. */
  readonly data: DataSpec;
  /** Further ones, by the names that streams draw from them by. Default: none. */
  readonly datasets?: Readonly<Record<string, DataSpec>>;
  /** What a step may be made of, in the order of its ids: the items of its update first. */
  readonly streams: readonly StreamSpec[];
  /** Steps issued ahead of the step under way: with `onPolicy` the staleness bound. */
  readonly ahead: number;
  /** Whether steps change the policy that prompts are sampled from. */
  readonly onPolicy: boolean;
  /** A version is published every `publishEvery` steps, and after the last. */
  readonly publishEvery: number;
}

/** A part of a step: items of one dataset that are drawn, joined and used in the same way. */
export interface StreamSpec {
  readonly name: StreamName;
  /** Which of the further datasets steps draw from. Default: the main one. */
  readonly dataset?: string;
  /** The part of the data that steps draw from. A further dataset of which no stream draws `test` items holds none out. */
  readonly split: 'train' | 'test';
  /** `batch`: that many items a step, in the order of epochs, or with `once` of one epoch alone. `first`: every time the first items of the split, that many at most. */
  readonly draws: { readonly batch: number; readonly once?: boolean } | { readonly first: number };
  /** Rollouts of each prompt. */
  readonly samples?: number;
  /** What the optimizer joins by item, the item's own event first. */
  readonly joins: readonly JoinedTopic[];
  /** Which steps have such items. Default: every step. With a schedule, the last step, and every `every`-th where that is given. */
  readonly schedule?: { readonly every?: number | undefined };
}

/** Topics whose events an item of a step is joined from. */
export type JoinedTopic =
  | 'demonstrations'
  | 'comparisons'
  | 'thumbs'
  | 'rollouts'
  | 'rewards'
  | 'reference-logprobs';

export type DataSpec = DatasetSpec | PromptsSpec;

/** Items that are learned from as they are. */
export interface DatasetSpec {
  /** The topic on which the coordinator issues them. */
  readonly kind: 'demonstrations' | 'comparisons' | 'thumbs';
  readonly source: DataOrigin;
  /** Other columns of the data that go along as metadata. */
  readonly keep?: readonly string[];
  /** Where rows may also be questions and paired sentences, which are judged: how a question and a choice make a text. */
  readonly choices?: { readonly template: string };
  /** Whether prompts and completions that are texts are messages of a user and an assistant. Default false. */
  readonly chat?: boolean;
  /** Whether only what the assistant says is learned of a conversation. Default false. */
  readonly assistantOnly?: boolean;
  /** The most tokens of an item, and the setting that says so. */
  readonly limit: { readonly setting: string; readonly tokens: number };
  /** The most items that are held out. */
  readonly maxTestItems: number;
}

/** Prompts that a policy answers. */
export interface PromptsSpec {
  readonly kind: 'prompts';
  readonly source: DataOrigin;
  /** Whether prompts that are texts are messages of a user. Default false. */
  readonly chat?: boolean;
  /** Other columns of the data that go along as metadata. */
  readonly keep?: readonly string[];
  /** Whether the completions of the data stand in for samples. Default false. */
  readonly given?: boolean;
  /** How many of a text's first words make a prompt, where data have no prompts. */
  readonly words: number;
  /** How responses are drawn; what ends one follows from the tokenizer of the policy. */
  readonly sampling: Omit<Sampling, 'stopTokens'>;
  readonly timeoutMs: number;
}

/** A role that models have in runs of a method, and what a model must be to have it. */
export interface ModelRole {
  /** The name under which `run.started` lists it; scorers are `scorer.0`, `scorer.1` and so on. */
  readonly name: 'policy' | 'value' | 'reference' | 'scorer';
  /** The setting that names it, or a list of them. */
  readonly field: string;
  /** What such a model may be. */
  readonly kinds: readonly ModelRecord['kind'][];
  /** The same in words, for errors. */
  readonly expected: string;
  /** Whether it is given token ids of the policy, which it must read alike. Any other reads texts with its own tokenizer. */
  readonly readsPolicyTokens?: boolean;
  /** What must fit its context, besides what it is trained on. */
  readonly holds?: 'every sequence' | 'the context of the policy' | 'a prompt and a token';
  /** What stands in where the configuration names none: the policy, or the first scorer if it fits and else the policy. */
  readonly otherwise?: 'the policy' | 'a scorer that fits';
}

/** A model that the optimizer trains. */
export interface TrainedModel {
  /** Names its tensors in checkpoints of the training: `role.tensor`. */
  readonly role: 'policy' | 'value' | 'reward';
  /** The role of the model that it starts from; the policy's where the run has no such model. */
  readonly from: 'policy' | 'value';
  /** The trained model whose trunk it has, where it has none of its own: it starts from the same model. */
  readonly trunk?: 'policy';
  /** What its head gives for each token: logits of the next, or one number. */
  readonly head: 'language' | 'scalar';
  /** What moves its weights: the run's optimizer, or steps that a line search accepts, as those of TRPO. Default: the optimizer. */
  readonly movedBy?: 'optimizer' | 'line search';
}

/** What is shown of a run under way: metrics, each with a label. */
export interface Progress {
  readonly step: readonly ShownMetric[];
  /** Measured on held-out items. */
  readonly heldOut: readonly ShownMetric[];
}
export type ShownMetric = readonly [label: string, metric: string];

/** Ties a spec to its schema: `plan` takes the schema's output, and `hyperparameters` is one of its keys. */
export const defineMethod = <Schema extends z.ZodObject>(spec: MethodSpec<Schema>): MethodSpec<Schema> =>
  spec;
