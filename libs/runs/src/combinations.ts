/** What settings a configuration may have together: what no schema of a single one can say. */
import type { RunConfig } from './methods/index.js';
import type { Mistake } from './mistakes.js';

export function combinationMistakes(config: RunConfig): Mistake[] {
  const mistakes: Mistake[] = [];
  const wrong = (path: string, message: string) =>
    mistakes.push({ path: path.split('.'), message, code: 'custom' });
  const { steps, epochs, testFraction } = config;
  if (steps === undefined && epochs === undefined) wrong('steps', 'expected steps or epochs, got neither');
  if (steps !== undefined && epochs !== undefined)
    wrong('epochs', `expected steps or epochs, got both: steps: ${steps} and epochs: ${epochs}`);
  if ('evaluateEvery' in config && config.evaluateEvery !== undefined && testFraction === 0)
    wrong('evaluateEvery', 'expected items to be held out for it, got testFraction: 0');
  return mistakes;
}
