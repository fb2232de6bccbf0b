/** A run's configuration: its schema, what it names, and what is wrong with one. */
import { z } from 'zod';
import { combinationMistakes } from './combinations.js';
import { RunError } from './errors.js';
import { type RunConfig as Config, type ConfigSchema, type MethodName, methods } from './methods/index.js';
import { explainMistakes, inWords, type Mistake, UNEXPLAINED } from './mistakes.js';
import { type NamedSource, sourcesIn } from './named-sources.js';
import { type Setting, settingsOf } from './settings.js';
import { replayed } from './steps.js';

/** What a config file holds and POST /v1/runs takes. */
export const RunConfig = z.discriminatedUnion(
  'method',
  Object.values(methods).map(({ config }) => config) as [ConfigSchema, ...ConfigSchema[]],
);
export type RunConfig = Config;
export type RunConfigInput = z.input<typeof RunConfig>;

/** The settings of each method's runs. @internal */
export const settingsByMethod = (): Record<MethodName, Setting[]> =>
  Object.fromEntries(
    Object.entries(methods).map(([name, { config }]) => [name, settingsOf(config)]),
  ) as Record<MethodName, Setting[]>;

/** The sources that a configuration names. */
export const namedSources = (config: RunConfig): NamedSource[] => sourcesIn(RunConfig, config);

/** The runs that a run waits for: those whose models or data it takes. A replay waits for the run that it replays. */
export function runsBuiltOn(config: RunConfig): string[] {
  const replay = replayed(config);
  if (replay !== undefined) return [replay];
  const runs = namedSources(config).flatMap(({ source }) => (source.from === 'run' ? [source.run] : []));
  return [...new Set(runs)];
}

/** Everything that is wrong with a configuration, each mistake with its path, what was expected and what came. */
export function runConfigMistakes(json: unknown): Mistake[] {
  const result = RunConfig.safeParse(json, { error: () => UNEXPLAINED });
  if (!result.success) return explainMistakes(result.error.issues, json, settingsByMethod());
  const circular = namedSources(result.data)
    .filter(({ source }) => source.from === 'run' && source.run === result.data.run)
    .map(({ path, text }) => ({
      path: [...path],
      message: `expected another run than this one, which has nothing yet, got '${text}'`,
      code: 'custom',
    }));
  return [...combinationMistakes(result.data), ...circular];
}

/** @throws RunError TRAINING_CONFIG_INVALID naming every mistake by its path, what was expected and what came. */
export function parseRunConfig(json: unknown): RunConfig {
  const mistakes = runConfigMistakes(json);
  if (mistakes.length === 0) return RunConfig.parse(json);
  throw new RunError('TRAINING_CONFIG_INVALID', `not a run's configuration:\n${inWords(mistakes)}`);
}
