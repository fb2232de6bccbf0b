/** The models that a run's configuration names, each for a part in it. */
import type { ModelConfig, ModelKind, TokenizerFiles } from '@rlhf-streams/model';
import { artifactRoles, type ModelSource, type RunConfig, scorersOf } from '@rlhf-streams/runs';

/** `body` is what a reward model is trained from. */
export type Part = 'policy' | 'body' | 'reference' | 'value' | 'scorer';

export interface NamedModel {
  readonly part: Part;
  /** Under which `run.started` lists it. */
  readonly role: string;
  /** Where the configuration names it: `model`, `scorers[0]`. */
  readonly field: string;
  readonly source: ModelSource;
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

export type NewModel = Exclude<ModelSource, string>;

export const isNewModel = (source: ModelSource): source is NewModel => typeof source !== 'string';

/** As its user wrote it: `run:sft`, or a shape. */
export const sourceText = (source: ModelSource): string =>
  isNewModel(source)
    ? `{ ${Object.entries(source)
        .filter(([key]) => key !== 'architecture')
        .map(([key, value]) => `${key}: ${value}`)
        .join(', ')} }`
    : source;

export const named = ({ field, source }: NamedModel): string => `${field}: ${sourceText(source)}`;

export function namedModels(config: RunConfig): NamedModel[] {
  const { reference, value } = config as { [Name in 'reference' | 'value']?: ModelSource };
  const part = config.method === 'reward' ? 'body' : 'policy';
  return [
    { part, role: artifactRoles.policy, field: 'model', source: config.model },
    ...(reference === undefined
      ? []
      : [
          {
            part: 'reference',
            role: artifactRoles.reference,
            field: 'reference',
            source: reference,
          } as const,
        ]),
    ...(value === undefined
      ? []
      : [{ part: 'value', role: artifactRoles.value, field: 'value', source: value } as const]),
    ...scorersOf(config).map(
      (source, i) =>
        ({ part: 'scorer', role: artifactRoles.scorer(i), field: `scorers[${i}]`, source }) as const,
    ),
  ];
}
