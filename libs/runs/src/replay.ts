/** A replay trains again on the events that another run logged, with the same hyperparameters or with others. */
import type { RunStream, TopicEvent } from '@rlhf-streams/events';
import { RunError } from './errors.js';
import { dataSpecOf, datasetNames, specOf } from './methods/index.js';
import { onlyMeasures } from './named-models.js';
import { parseRunConfig, type RunConfig } from './run-config.js';
import { differences } from './same-run.js';
import { replayed } from './steps.js';

/** A value for a key of a configuration: `['ppo.klCoef', 0.1]`. */
export type Change = readonly [path: string, value: unknown];

/** The run that is replayed. */
export interface ReplaySource {
  readonly config: RunConfig;
  /** Training steps that it was to have. */
  readonly steps?: number | undefined;
  readonly streams?: readonly RunStream[] | undefined;
  readonly testItems: number;
  /** Completed steps, including the one in which an earlier build evaluated held-out items. */
  readonly completed: number;
}

/** The part of a run that is replayed. */
export interface ReplayExtent {
  /** Training steps. */
  readonly steps: number;
  /** Absent where an earlier build started the run: then the replay has its form. */
  readonly streams?: RunStream[];
  readonly testItems: number;
}

/** These differ between every replay and its run. */
const NAMES = ['run', 'replay'];
/** Settings that change no number that is computed. */
const KEEPING = ['checkpointEvery', 'stallTimeoutMs', 'keepCheckpoints', 'keepBest', 'stopWhen', 'klBudget'];
/** Settings of how a run learns, besides its optimizer and the hyperparameters of its method. */
const LEARNING = ['steps', 'epochs', 'microBatchSize', 'peft', ...KEEPING];

/**
 * The configuration of a replay: that of its run, with changes. A replay of a replay reads the events of the first run.
 * @throws RunError TRAINING_REPLAY_UNFIT for a run that trains nothing; TRAINING_CONFIG_INVALID naming what a
 *   change made wrong by its path.
 */
export function replayConfig(source: RunConfig, run: string, changes: readonly Change[] = []): RunConfig {
  if (onlyMeasures(source)) {
    throw unfit(`expected a run that trains, got ${source.run}, which samples: there is nothing to replay`);
  }
  // A replay may stop early: then its steps stand for the epochs of its run.
  const setsSteps = changes.some(([path]) => path === 'steps');
  const { epochs: _, ...counted } = source;
  const from: unknown = setsSteps ? counted : source;
  const changed = changes.reduce<unknown>((json, [path, value]) => set(json, path.split('.'), value), from);
  return parseRunConfig({ ...(changed as object), run, replay: replayed(source) ?? source.run });
}

/**
 * How far a replay goes: as far as its run came, or less where its own configuration says so.
 * @throws RunError TRAINING_REPLAY_UNFIT when it asks for what was never logged: other items, other samples, more steps.
 */
export function replayExtent(config: RunConfig, source: ReplaySource): ReplayExtent {
  const { run } = source.config;
  const { hyperparameters, ...spec } = specOf(source.config);
  const logged = Math.min(source.steps ?? source.config.steps!, source.completed);
  if (logged === 0) throw unfit(`expected run ${run} to have completed a step, got none to replay`);
  const free = [...LEARNING, 'optimizer', ...(hyperparameters ? [hyperparameters] : [])];
  const limits = datasetNames(spec).flatMap((name) => {
    const data = dataSpecOf(spec, name);
    return data.kind === 'prompts' ? [] : [data.limit.setting];
  });
  const fixed = differences(config, source.config)
    .map(({ path }) => path)
    // The log holds items as they were cut to their limits.
    .filter((path) => limits.includes(path) || ![...NAMES, ...free].includes(path.split('.')[0]!));
  if (fixed.length > 0) {
    throw unfit(
      `expected a replay of run ${run} to differ from it in ${free.join(', ')} at most, got another ${fixed.join(', ')}: its events were made with what it had`,
    );
  }
  const unlogged = specOf(config).joins.filter((topic) => !spec.joins.includes(topic));
  if (unlogged.length > 0) {
    throw unfit(
      `expected a replay of run ${run} to learn from what its run logged, got settings that also take ${unlogged.join(', ')}`,
    );
  }
  const { steps, epochs } = config;
  const isWhole = steps === source.config.steps && epochs === source.config.epochs;
  if (!isWhole && !(steps !== undefined && steps <= logged)) {
    throw unfit(
      `expected steps to be at most ${logged}, as many as run ${run} completed, got ${steps === undefined ? `epochs: ${epochs}` : steps}`,
    );
  }
  const extent = isWhole ? logged : steps!;
  if (source.streams) return { steps: extent, streams: [...source.streams], testItems: source.testItems };
  const evaluates = isWhole && source.completed > logged;
  return { steps: extent, testItems: evaluates ? source.testItems : 0 };
}

/**
 * Whether a replay computes what its run computed and so arrives at the same policies. Then its rollouts were sampled
 * by its own policies; any other replay is trained off-policy.
 */
export const reproduces = (config: RunConfig, source: RunConfig): boolean =>
  differences(config, source).every(({ path }) => [...NAMES, ...KEEPING].includes(path.split('.')[0]!));

/** Steps that a run completed, including the one in which an earlier build evaluated held-out items. */
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
