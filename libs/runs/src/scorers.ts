/** The scorers of a run, as its configuration has them: what each is, by what its score is weighed, what it goes by. */
import { basename } from 'node:path';
import type { RunConfig } from './methods/index.js';
import type { Ensemble, Rule, ScorerEntry } from './scorer-schemas.js';
import {
  type FromDeclaration,
  parseSource,
  runName,
  type ScoringModelOrigin,
  sourceText,
} from './sources.js';

/** A scorer that a configuration names. */
interface NamedScorer {
  /** What its scores go by. */
  readonly name: string;
  /** The name under which `run.started` lists it: `scorer.0`, or `scorer.0.1` of a member of an ensemble. */
  readonly role: string;
  /** Where the configuration has it: `scorers[0]`. */
  readonly field: string;
}

/** A model or gold reward of the run, or a scorer that the operator declared. */
export type SourceScorer = NamedScorer & { readonly source: ScoringModelOrigin | FromDeclaration };

export type RunScorer = (
  | SourceScorer
  | (NamedScorer & { readonly rule: Rule })
  | (NamedScorer & {
      readonly members: readonly SourceScorer[];
      readonly ensemble: Pick<Ensemble, 'combine' | 'k'>;
    })
) & {
  /** What its score is multiplied by in the reward, which is the sum. */
  readonly weight: number;
};

/** The scorers of a run in their order. */
export const scorersOf = (config: RunConfig): RunScorer[] =>
  'scorers' in config ? scorersIn(config.scorers, 'scorers') : [];

/** A scorer that a run names and the operator has declared. */
export interface NamedDeclaration extends Omit<SourceScorer, 'source'> {
  readonly source: FromDeclaration;
}

/** The declared scorers among those of a run, also as members of ensembles. */
export const declaredScorers = (config: RunConfig): NamedDeclaration[] =>
  scorersOf(config)
    .flatMap((scorer): readonly (RunScorer | SourceScorer)[] =>
      'members' in scorer ? scorer.members : [scorer],
    )
    .filter(
      (scorer): scorer is RunScorer & NamedDeclaration =>
        'source' in scorer && scorer.source.from === 'declared',
    );

/** @param field the setting that lists them */
export function scorersIn(entries: readonly ScorerEntry[], field: string): RunScorer[] {
  const scorers = entries.map((entry, index) => scorerIn(entry, { index, field: `${field}[${index}]` }));
  return withOwnNames(scorers);
}

function scorerIn(
  entry: ScorerEntry,
  { index, field }: { readonly index: number; readonly field: string },
): RunScorer {
  const role = `scorer.${index}`;
  const byDefault = index === 0 ? 1 : 0;
  if (typeof entry === 'string') return { ...sourceScorer(entry, { role, field }), weight: byDefault };
  const { scorer, ensemble, rule, weight = byDefault } = entry;
  const named = (name: string) => ({ name: entry.name ?? name, role, field, weight });
  if (rule) return { ...named(Object.keys(rule)[0]!), rule };
  if (ensemble) {
    const members = ensemble.members.map((written, member) =>
      sourceScorer(written, {
        role: `${role}.${member}`,
        field: `${field}.ensemble.members[${member}]`,
      }),
    );
    return { ...named('ensemble'), ensemble, members: withOwnNames(members) };
  }
  // The schema lets no entry pass that is none of the three.
  const only = sourceScorer(scorer!, { role, field: `${field}.scorer` });
  return { ...only, ...named(only.name), field: only.field };
}

const sourceScorer = (written: string, at: Pick<NamedScorer, 'role' | 'field'>): SourceScorer => {
  const source = parseSource('scorer', written);
  return { ...at, source, name: nameOf(source, written) };
};

function nameOf(source: SourceScorer['source'], written: string): string {
  switch (source.from) {
    case 'gold':
      return 'gold';
    case 'run':
      return runName(source);
    case 'declared':
      return source.name;
    case 'adapter':
      return nameOf(source.adapter, sourceText(source.adapter));
    default:
      return basename(written);
  }
}

/** Names as they are, but that one which came before gets a number: `gold`, `gold-2`. */
function withOwnNames<Scorer extends NamedScorer>(scorers: readonly Scorer[]): Scorer[] {
  const taken = new Set<string>();
  return scorers.map((scorer) => {
    let { name } = scorer;
    for (let number = 2; taken.has(name); number++) name = `${scorer.name}-${number}`;
    taken.add(name);
    return { ...scorer, name };
  });
}
