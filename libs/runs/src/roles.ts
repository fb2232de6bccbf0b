/** Names under which `run.started` lists what a run uses. */
import { basename } from 'node:path';
import type { RunConfig } from './run-config.js';

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

export const scorersOf = (config: RunConfig): readonly string[] =>
  'scorers' in config ? config.scorers : [];

/** The name a scorer's scores go by: a run's id, `gold`, or a folder's name. */
export function scorerName(source: string): string {
  if (source.startsWith('gold:')) return 'gold';
  return source.startsWith('run:') ? source.slice('run:'.length) : basename(source);
}
