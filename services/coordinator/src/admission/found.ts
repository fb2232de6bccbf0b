/** The models that a run's configuration names, with what was found under the names. */
import type { ModelConfig, ModelKind, TokenizerFiles } from '@rlhf-streams/model';
import { type NamedModel, sourceText } from '@rlhf-streams/runs';

/** A model as it was found, or as it will be made. */
export interface FoundModel extends NamedModel {
  readonly kind: ModelKind | 'gold reward';
  /** A sentence for errors that says what came: `run rm trained a reward model`. */
  readonly what: string;
  /** A gold reward has none. */
  readonly shape?: ModelConfig;
  /** Absent where the model has none, and of a new model until its tokenizer is trained on the run's data. */
  readonly tokenizer?: TokenizerFiles & { readonly vocabSize: number };
  readonly isNew: boolean;
  /** Names the weights of the model, or those of the base of its adapter; absent while nobody knows them. */
  readonly base?: string;
}

/** The model that a run has in a role, or which stands in for one that it does not name. */
export const modelOf = (models: readonly FoundModel[], name: NamedModel['role']['name']): FoundModel =>
  models.find(({ role, shape }) => role.name === name && shape) ?? models[0]!;

/** A model in the words of the configuration: `model: run:sft`. */
export const named = ({ field, source }: NamedModel): string => `${field}: ${sourceText(source)}`;

/** Whether the role of a model may be filled by a gold reward. */
export const takesGold = ({ role }: NamedModel): boolean => role.kinds.includes('gold reward');
