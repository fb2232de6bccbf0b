/** The models and scorers of a run, by their roles in it. */
import { methods, type RunConfig, specOf } from './methods/index.js';
import type { ModelRole } from './methods/spec.js';
import type { NewModel } from './new-model.js';
import type { ScorerEntry } from './scorer-schemas.js';
import { type RunScorer, type SourceScorer, scorersIn } from './scorers.js';
import { type ModelOrigin, parseSource, type ScoringModelOrigin } from './sources.js';

/** Names under which `run.started` lists the models and artifacts that a run uses. */
export const artifactRoles = {
  /** The initial policy, or the body of a reward model: what the run trains or samples from. */
  policy: 'policy',
  /** Where the value model starts. */
  value: 'value',
  reference: 'reference',
  /** The main dataset, tokenised: `items.jsonl`. */
  items: 'items',
  /** A dataset by its name, the main one without. */
  itemsOf: (dataset?: string) => (dataset === undefined ? 'items' : `items.${dataset}`),
} as const;

/** A model or scorer that a configuration names. */
export interface NamedModel {
  readonly role: ModelRole;
  /** The name under which `run.started` lists it: `policy`, `scorer.0`; `scorer.0.1` is of an ensemble. */
  readonly name: string;
  /** Where the configuration names it: `model`, `scorers[0]`. */
  readonly field: string;
  readonly source: ModelOrigin | ScoringModelOrigin;
}

/** All that a configuration names, in the order of its method's roles: the run's own model first. */
export const namedModels = (config: RunConfig): NamedModel[] =>
  specOf(config).models.flatMap((role) => {
    const written = (config as Readonly<Record<string, unknown>>)[role.field];
    if (written === undefined) return [];
    if (role.name === 'scorer')
      return scorersIn(written as readonly ScorerEntry[], role.field)
        .flatMap((scorer) => modelsOf(scorer))
        .map((model) => ({ ...model, role }));
    const source = parseSource('model', written as string | NewModel);
    return [{ role, name: role.name, field: role.field, source }];
  });

/** The models and gold rewards that a scorer consists of. */
const modelsOf = (scorer: RunScorer | SourceScorer): Omit<NamedModel, 'role'>[] => {
  if ('members' in scorer) return scorer.members.flatMap(modelsOf);
  if (!('source' in scorer) || scorer.source.from === 'declared') return [];
  const { role: name, field, source } = scorer;
  return [{ name, field, source }];
};

/** Whether a run trains nothing, and so has no model of its own. */
export const onlyMeasures = ({ method }: RunConfig): boolean => methods[method].trains.length === 0;

/**
 * Whether the versions of a run are whole models, each in place of the one before. Else they are adapters on one base, or
 * the one model that it measures.
 */
export const trainsWhole = (config: RunConfig): boolean =>
  !onlyMeasures(config) && (config as { readonly peft?: unknown }).peft === undefined;
