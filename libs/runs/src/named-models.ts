/** The models and scorers of a run, by their roles in it. */
import { basename } from 'node:path';
import { methods, type RunConfig } from './methods/index.js';
import type { ModelRole } from './methods/spec.js';
import type { NewModel } from './new-model.js';
import { type ModelOrigin, parseSource, type ScorerOrigin } from './sources.js';

/** Names under which `run.started` lists what a run uses. */
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
  readonly part: ModelRole;
  /** Under which `run.started` lists it. */
  readonly role: string;
  /** Where the configuration names it: `model`, `scorers[0]`. */
  readonly field: string;
  readonly source: ModelOrigin | ScorerOrigin;
}

/** All that a configuration names, in the order of its method's roles: the run's own model first. */
export const namedModels = (config: RunConfig): NamedModel[] =>
  methods[config.method].models.flatMap((part) => {
    const kind = part.role === 'scorer' ? 'scorer' : 'model';
    const written = (config as Readonly<Record<string, unknown>>)[part.field] as Written | undefined;
    if (written === undefined) return [];
    if (!Array.isArray(written)) {
      const source = parseSource(kind, written as string | NewModel);
      return [{ part, role: part.role, field: part.field, source }];
    }
    return written.map((source, index) => ({
      part,
      role: artifactRoles.scorer(index),
      field: `${part.field}[${index}]`,
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
  return source.from === 'run' ? source.run : basename(written);
}

/** Whether a run trains nothing, and so has no model of its own. */
export const onlyMeasures = ({ method }: RunConfig): boolean => methods[method].trains.length === 0;
