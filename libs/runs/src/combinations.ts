/** What settings a configuration may have together: what no schema of a single one can say. */
import { nearest } from '@rlhf-streams/events';
import { type RunConfig, specOf } from './methods/index.js';
import type { Mistake } from './mistakes.js';

export function combinationMistakes(config: RunConfig): Mistake[] {
  const mistakes: Mistake[] = [];
  const wrong = (path: string, message: string | undefined) => {
    if (message !== undefined) mistakes.push({ path: path.split('.'), message, code: 'custom' });
  };
  const { steps, epochs, testFraction } = config;
  if (steps === undefined && epochs === undefined) wrong('steps', 'expected steps or epochs, got neither');
  if (steps !== undefined && epochs !== undefined)
    wrong('epochs', `expected steps or epochs, got both: steps: ${steps} and epochs: ${epochs}`);
  if ('evaluateEvery' in config && config.evaluateEvery !== undefined && testFraction === 0)
    wrong('evaluateEvery', 'expected items to be held out for it, got testFraction: 0');
  if ('completions' in config && config.completions === 'given' && config.samplesPerPrompt > 1)
    wrong('samplesPerPrompt', `expected 1 with completions: given, got ${config.samplesPerPrompt}`);
  if ('keepBest' in config && config.keepBest)
    wrong('keepBest.metric', unmeasured(config, config.keepBest.metric));
  if ('stopWhen' in config && config.stopWhen) {
    const { metric, below, above } = config.stopWhen;
    wrong('stopWhen.metric', unmeasured(config, metric));
    if ((below === undefined) === (above === undefined))
      wrong('stopWhen', `expected below or above, got ${below === undefined ? 'neither' : 'both'}`);
  }
  return mistakes;
}

/** Why nothing can be decided by a metric, if it cannot. */
function unmeasured(config: RunConfig, metric: string): string | undefined {
  if (metric.startsWith('timing_s/'))
    return `expected a metric that comes out the same whenever it is computed, got ${metric}`;
  const { metrics, streams } = specOf(config);
  const isKnown = metrics.some((name) =>
    name.endsWith('/*') ? metric.startsWith(name.slice(0, -1)) : name === metric,
  );
  if (!isKnown) {
    const meant = nearest(metric, metrics);
    return `expected a metric of method ${config.method}, got ${metric}${meant ? `: did you mean ${meant}?` : `; there are ${metrics.join(', ')}`}`;
  }
  if (!metric.startsWith('eval/')) return undefined;
  if (config.testFraction === 0) return `expected items to be held out for ${metric}, got testFraction: 0`;
  if (streams.some(({ name }) => name === 'evaluation')) return undefined;
  return `expected evaluateEvery to be set for ${metric}, got none`;
}
