/** The models and scorers of a run, by their roles in it. */
import { basename } from 'node:path';
import { methods, type RunConfig, specOf } from './methods/index.js';
import type { ModelRole } from './methods/spec.js';
import type { NewModel } from './new-model.js';
import { type ModelOrigin, parseSource, runName, type ScorerOrigin } from './sources.js';

/** Names under which `run.started` lists the models and artifacts that a run uses. */
export const artifactRoles = {
  /** The initial policy, or the body of a reward model: what the run trains or samples from. */
  policy: 'policy',
  /** Where the value model starts. */
  value: 'value',
  reference: 'reference',
  /** The dataset, tokenised: `items.jsonl`. */
  items: 'items',
  scorer: (index: number) => `scorer.${index}`,
} as const;

/** A model or scorer that a configuration names. */
export interface NamedModel {
  readonly role: ModelRole;
  /** The name under which `run.started` lists it: `policy`, `scorer.0`. */
  readonly name: string;
  /** Where the configuration names it: `model`, `scorers[0]`. */
  readonly field: string;
  readonly source: ModelOrigin | ScorerOrigin;
}

/** All that a configuration names, in the order of its method's roles: the run's own model first. */
export const namedModels = (config: RunConfig): NamedModel[] =>
  specOf(config).models.flatMap((role) => {
    const kind = role.name === 'scorer' ? 'scorer' : 'model';
    const written = (config as Readonly<Record<string, unknown>>)[role.field] as Written | undefined;
    if (written === undefined) return [];
    if (!Array.isArray(written)) {
      const source = parseSource(kind, written as string | NewModel);
      return [{ role, name: role.name, field: role.field, source }];
    }
    return written.map((source, index) => ({
      role,
      name: artifactRoles.scorer(index),
      field: `${role.field}[${index}]`,
      source: parseSource(kind, source),
    }));
  });

type Written = string | NewModel | readonly string[];

export const scorersOf = (config: RunConfig): readonly string[] =>
  'scorers' in config ? config.scorers : [];

/** The name a scorer's scores go by: a run's id, `gold`, or a folder's name. */
export function scorerName(written: string): string {
  const source = parseSource('scorer', written);
  if (source.from === 'gold') return 'gold';
  return source.from === 'run' ? runName(source) : basename(written);
}

/** Whether a run trains nothing, and so has no model of its own. */
export const onlyMeasures = ({ method }: RunConfig): boolean => methods[method].trains.length === 0;
