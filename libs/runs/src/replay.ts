/** Replays: runs that learn again from what another run logged, as that run did or otherwise. */
import type { TopicEvent } from '@rlhf-streams/events';
import { RunError } from './errors.js';
import { specOf } from './methods/index.js';
import { onlyMeasures } from './named-models.js';
import { parseRunConfig, type RunConfig } from './run-config.js';
import { differences } from './same-run.js';
import { replayed } from './steps.js';

/** A value for a key of a configuration: `['ppo.klCoef', 0.1]`. */
export type Change = readonly [path: string, value: unknown];

/** A run as its replay sees it. */
export interface ReplaySource {
  readonly config: RunConfig;
  readonly testItems: number;
  /** Steps it completed, the one of its held-out items among them. */
  readonly completed: number;
}

/** What a replay does of the run it replays. */
export interface ReplayExtent {
  /** Training steps. */
  readonly steps: number;
  readonly testItems: number;
}

/** Names a replay and what it replays. */
const NAMES = ['run', 'replay'];
/** How a run is kept, which changes no number. */
const KEEPING = ['checkpointEvery', 'stallTimeoutMs'];
/** How a run learns, beside its optimizer and what its method has of its own. */
const LEARNING = ['steps', 'microBatchSize', ...KEEPING];

/**
 * The configuration of a replay: that of the run, changed. A replay is replayed from the events it had itself.
 * @throws RunError TRAINING_REPLAY_UNFIT for a run that trains nothing; TRAINING_CONFIG_INVALID naming what a
 *   change made wrong by its path.
 */
export function replayConfig(source: RunConfig, run: string, changes: readonly Change[] = []): RunConfig {
  if (onlyMeasures(source)) {
    throw unfit(`expected a run that trains, got ${source.run}, which samples: there is nothing to replay`);
  }
  const changed = changes.reduce<unknown>((json, [path, value]) => set(json, path.split('.'), value), source);
  return parseRunConfig({ ...(changed as object), run, replay: replayed(source) ?? source.run });
}

/**
 * How far a replay goes: as far as the run that it replays came, or as its own configuration says.
 * @throws RunError TRAINING_REPLAY_UNFIT when it asks for what was never logged: other items, other samples, more steps.
 */
export function replayExtent(config: RunConfig, source: ReplaySource): ReplayExtent {
  const { run, steps } = source.config;
  const { hyperparameters, data } = specOf(source.config);
  const logged = Math.min(steps, source.completed);
  if (logged === 0) throw unfit(`expected run ${run} to have completed a step, got none to replay`);
  const free = [...LEARNING, 'optimizer', ...(hyperparameters ? [hyperparameters] : [])];
  const limit = data.kind === 'prompts' ? undefined : data.limit.setting;
  const fixed = differences(config, source.config)
    .map(({ path }) => path)
    // What was cut or left out to a length is not on the log.
    .filter((path) => path === limit || ![...NAMES, ...free].includes(path.split('.')[0]!));
  if (fixed.length > 0) {
    throw unfit(
      `expected a replay of run ${run} to differ from it in ${free.join(', ')} at most, got another ${fixed.join(', ')}: its events were made with what it had`,
    );
  }
  if (config.steps !== steps && config.steps > logged) {
    throw unfit(
      `expected steps to be at most ${logged}, as many as run ${run} completed, got ${config.steps}`,
    );
  }
  const evaluates = config.steps === steps && source.completed > steps;
  return { steps: Math.min(config.steps, logged), testItems: evaluates ? source.testItems : 0 };
}

/**
 * Whether a replay does what the run did that it replays, so that it comes to the same policies: those that sampled
 * what it is trained on. Any other replay is trained on what another policy sampled.
 */
export const reproduces = (config: RunConfig, source: RunConfig): boolean =>
  differences(config, source).every(({ path }) => [...NAMES, ...KEEPING].includes(path));

/** Steps that a run completed, the one of its held-out items among them. */
export async function stepsCompleted(
  events: AsyncIterable<Pick<TopicEvent<'training-metrics'>, 'data'>>,
  run: string,
): Promise<number> {
  let completed = 0;
  for await (const { data } of events) if (data.run === run) completed = Math.max(completed, data.step + 1);
  return completed;
}

const unfit = (message: string) => new RunError('TRAINING_REPLAY_UNFIT', message);

function set(json: unknown, [key, ...rest]: readonly string[], value: unknown): unknown {
  if (key === undefined) return value;
  const object = isObject(json) ? json : {};
  return { ...object, [key]: set(Object.hasOwn(object, key) ? object[key] : undefined, rest, value) };
}

const isObject = (json: unknown): json is Readonly<Record<string, unknown>> =>
  typeof json === 'object' && json !== null && !Array.isArray(json);
