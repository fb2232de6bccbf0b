/** The models that a run's configuration names, each for a part in it. */
import type { ModelConfig, ModelKind, TokenizerFiles } from '@rlhf-streams/model';
import {
  artifactRoles,
  type ModelOrigin,
  type NewModel,
  parseSource,
  type RunConfig,
  type ScorerOrigin,
  scorersOf,
  sourceText,
} from '@rlhf-streams/runs';

/** `body` is what a reward model is trained from. */
export type Part = 'policy' | 'body' | 'reference' | 'value' | 'scorer';

export interface NamedModel {
  readonly part: Part;
  /** Under which `run.started` lists it. */
  readonly role: string;
  /** Where the configuration names it: `model`, `scorers[0]`. */
  readonly field: string;
  readonly source: ModelOrigin | ScorerOrigin;
}

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

export const named = ({ field, source }: NamedModel): string => `${field}: ${sourceText(source)}`;

export function namedModels(config: RunConfig): NamedModel[] {
  const { reference, value } = config as { [Name in 'reference' | 'value']?: string | NewModel };
  const part = config.method === 'reward' ? 'body' : 'policy';
  const model = (part: Part, role: string, field: string, written: string | NewModel): NamedModel => ({
    part,
    role,
    field,
    source: parseSource('model', written),
  });
  return [
    model(part, artifactRoles.policy, 'model', config.model),
    ...(reference === undefined ? [] : [model('reference', artifactRoles.reference, 'reference', reference)]),
    ...(value === undefined ? [] : [model('value', artifactRoles.value, 'value', value)]),
    ...scorersOf(config).map(
      (written, i): NamedModel => ({
        part: 'scorer',
        role: artifactRoles.scorer(i),
        field: `scorers[${i}]`,
        source: parseSource('scorer', written),
      }),
    ),
  ];
}
