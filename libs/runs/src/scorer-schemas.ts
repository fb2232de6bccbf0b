/** How a configuration writes the scorers of a run: a source as text, or settings that also weigh and name it. */
import { ScorerName } from '@rlhf-streams/events';
import { RE2JS } from 're2js';
import { z } from 'zod';
import { ScorerSource } from './source-schemas.js';

/** Longer patterns make no rule that anybody reads, and matching takes time in proportion to their length. */
const LONGEST_PATTERN = 500;

const Unit = z
  .enum(['tokens', 'words', 'characters'])
  .default('tokens')
  .describe(
    'what a length counts: tokens of the policy, its end token included, words between spaces, or characters',
  );

/** Why RE2 cannot take a pattern; undefined where it can. */
function fault(pattern: string): string | undefined {
  try {
    RE2JS.compile(pattern);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** For `refine`: of the settings that say what an object is, it has one. */
const exactlyOne = (...names: readonly string[]) =>
  [
    (settings: object) => names.filter((name) => name in settings).length === 1,
    `expected exactly one of ${names.join(', ')}`,
  ] as const;

/** A rule scores a completion by what it looks like. It runs no code of whoever wrote it, so any run may have one. */
const Rule = z
  .strictObject({
    length: z
      .strictObject({ unit: Unit })
      .optional()
      .describe('scores the length itself: with a negative weight, longer completions earn less'),
    lengthWithin: z
      .strictObject({
        unit: Unit,
        min: z.int().min(0).default(0).describe('the least'),
        max: z.int().min(0).optional().describe('the most; without it, any'),
      })
      .optional()
      .describe('1 for a length of at least min and at most max, else 0'),
    matches: z
      .string()
      .min(1)
      .max(LONGEST_PATTERN)
      .superRefine((pattern, { addIssue }) => {
        const message = fault(pattern);
        if (message !== undefined)
          addIssue({ code: 'custom', message: `expected a regular expression as RE2 reads it (${message})` });
      })
      .optional()
      .describe(
        'a regular expression, found anywhere in the completion: 1 where it is, else 0. RE2 reads it, in time linear in the completion: it has no look-around and no back-references; (?i) and (?m) begin one with flags',
      ),
    format: z
      .enum(['json'])
      .optional()
      .describe('1 for a completion that is JSON, spaces around it aside, else 0'),
  })
  .refine(...exactlyOne('length', 'lengthWithin', 'matches', 'format'));
export type Rule = z.output<typeof Rule>;

const Ensemble = z.strictObject({
  members: z
    .array(ScorerSource)
    .min(2)
    .describe('scorers whose scores of a completion are combined; each is logged beside the result'),
  combine: z
    .enum(['mean', 'worst_case', 'mean_minus_std'])
    .default('mean')
    .describe(
      'the mean; the lowest, against which a policy cannot exploit one member alone; or the mean less k standard deviations of the population (Coste et al. 2023)',
    ),
  k: z.number().min(0).default(1).describe('standard deviations that mean_minus_std takes away'),
});
export type Ensemble = z.output<typeof Ensemble>;

/** A scorer with its weight and name. */
const WeighedScorer = z
  .strictObject({
    scorer: ScorerSource.optional().describe('a scorer, as it is written alone'),
    ensemble: Ensemble.optional().describe('several scorers as one'),
    rule: Rule.optional().describe('a score by the length or the format of a completion'),
    weight: z
      .number()
      .optional()
      .describe(
        'what its score is multiplied by before all are added up to the reward; 1 of the first scorer and 0 of others if not given: they are only reported',
      ),
    name: ScorerName.optional().describe(
      'what its scores go by, if not by its source or kind: metric scores/NAME',
    ),
  })
  .refine(...exactlyOne('scorer', 'ensemble', 'rule'));

/** An entry of `scorers`. */
export const ScorerEntry = z.union([ScorerSource, WeighedScorer]);
export type ScorerEntry = z.output<typeof ScorerEntry>;
