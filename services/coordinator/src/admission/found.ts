/** What the models are that a run's configuration names. */
import type { ModelConfig, ModelKind, TokenizerFiles } from '@rlhf-streams/model';
import { type NamedModel, sourceText } from '@rlhf-streams/runs';

/** A model as it was found, or as it will be made. */
export interface FoundModel extends NamedModel {
  readonly kind: ModelKind | 'gold reward';
  /** What came, for errors: `run rm trained a reward model`. */
  readonly what: string;
  /** Absent of a gold reward. */
  readonly shape?: ModelConfig;
  /** Absent where the model has none, and of one that is to be made: its tokenizer is trained on the run's data. */
  readonly tokenizer?: TokenizerFiles & { readonly vocabSize: number };
  readonly isNew: boolean;
}

/** A model in the words of the configuration: `model: run:sft`. */
export const named = ({ field, source }: NamedModel): string => `${field}: ${sourceText(source)}`;

/** Whether a gold reward will do for a part. */
export const takesGold = ({ part }: NamedModel): boolean => part.kinds.includes('gold reward');
