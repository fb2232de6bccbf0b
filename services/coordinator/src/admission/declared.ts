/** Whether the scorers that a run names are declared: a run brings no address and no code of its own. */
import { type DataFor, nearest } from '@rlhf-streams/events';
import { declaredScorers, type RunConfig, sourceText } from '@rlhf-streams/runs';
import type { Declarations } from '@rlhf-streams/scorers';
import { CoordinatorError } from '../errors.js';

/**
 * The declared scorers of a run by role, with the hashes of their declarations; undefined of a run that names none.
 * @throws CoordinatorError RUN_SCORER_UNDECLARED naming each that is not declared, and where
 */
export function admitDeclared(
  config: RunConfig,
  declarations: Declarations,
): DataFor<'run.started'>['declared'] {
  const scorers = declaredScorers(config);
  const missing = scorers.filter(({ source }) => !declarations.has(source.name));
  if (missing.length > 0) {
    const names = [...declarations.keys()];
    const are = names.length > 0 ? `there are ${names.join(', ')}` : 'there is none';
    const refusals = missing.map(({ field, source }) => {
      const meant = nearest(source.name, names);
      return `${field}: ${sourceText(source)}: expected a scorer that the file of RLHF_SCORERS declares; ${meant ? `did you mean ${meant}?` : are}`;
    });
    throw new CoordinatorError('RUN_SCORER_UNDECLARED', refusals.join('\n'));
  }
  if (scorers.length === 0) return undefined;
  return Object.fromEntries(
    scorers.map(({ role, source: { name } }) => [role, { name, sha256: declarations.get(name)!.sha256 }]),
  );
}
