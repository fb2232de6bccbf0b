/** A run under training: joins its method to its trainer, and reads and writes its files. */
import type { Build } from '@rlhf-streams/events';
import { requireMemory, trainingBytes, type WeightCache } from '@rlhf-streams/model';
import { type Item, type RunConfig, specOf } from '@rlhf-streams/runs';
import type { Buffers, Engine } from '@rlhf-streams/tensor';
import { TrainingError } from './errors.js';
import { methodOf } from './methods/index.js';
import type { Beside, Carry, Metrics, Step, StepResult } from './methods/method.js';
import { allShapes } from './methods/rows.js';
import { publisherOf } from './published.js';
import { describeStarts, initialParameters, readBases, type StartingModels } from './starting/index.js';
import { type Checkpoint, loadCheckpoint, saveCheckpoint } from './trainer/checkpoint.js';
import { layoutOf, type Models, sharingOf } from './trainer/layout.js';
import { lineSearchTensors } from './trainer/line-search.js';
import { oneGroup } from './trainer/optimizer.js';
import { createTrainer } from './trainer/trainer.js';

export interface Session {
  /** Steps done. */
  readonly step: number;
  /** Computes the next training step. */
  update(items: readonly Item[], beside?: Beside): Promise<Omit<StepResult, 'carry'>>;
  /** Sets the run's number of steps from the next step on, which the schedule of its learning rate depends on. */
  extend(steps: number): void;
  /** Measures held-out items. */
  evaluate(items: readonly Item[]): Promise<Metrics>;
  /** The weights that the run publishes, by their names in the model: of a run with `peft` those of the adapter. */
  parameters(): Promise<Buffers>;
  /** Writes what the run publishes into a missing folder: a model in the Hugging Face layout, or an adapter in PEFT's. */
  savePublished(directory: string): Promise<void>;
  /** Writes everything needed to go on from here, into a missing folder. */
  saveCheckpoint(directory: string, positions: Checkpoint['positions']): Promise<void>;
  /** Frees the memory of the run. */
  close(): Promise<void>;
}

export interface SessionOptions {
  readonly config: RunConfig;
  /** Number of training steps. Default: `steps` of the configuration; required of a run that is configured in epochs. */
  readonly steps?: number | undefined;
  /** The models that the run starts from, by role. */
  readonly models: StartingModels;
  /** Folder of the checkpoint to go on from. */
  readonly checkpoint?: string | undefined;
  /** Where a base is decoded to that is not stored in float32. Default: a folder of the user's own. */
  readonly weightCache?: WeightCache | undefined;
  /** Stamped into the checkpoints it saves. */
  readonly build?: Build;
  readonly engine: Engine;
  /** How many micro-batches the engine computes at a time, for the estimate of memory. Default 1. */
  readonly workers?: number;
  /** Memory at hand; a run that needs more is not opened. Default: no limit. */
  readonly memoryBytes?: number;
}

/** Opens a run at its start, or where a checkpoint left it; `positions` and `build` are the checkpoint's. */
export async function openSession(
  options: SessionOptions,
): Promise<{ session: Session } & Pick<Checkpoint, 'positions' | 'build'>> {
  const { config, engine, workers = 1, memoryBytes = Number.POSITIVE_INFINITY } = options;
  // A method without an optimizer trains nothing.
  if (!('optimizer' in config)) return { session: measuring(config), positions: {} };
  const method = methodOf(config.method);
  const { trains, sequencesPerItem } = specOf(config);
  const starts = await describeStarts(config, trains, options.models);
  const models: Models = Object.fromEntries(starts.map(({ trained, config }) => [trained.role, config]));
  const shapes = starts.map(({ trained: { trunk, movedBy }, config: model, folders }) => ({
    model,
    base: folders.base,
    onTrunk: trunk !== undefined,
    byLineSearch: movedBy === 'line search',
  }));
  requireMemory('the models trained', leastBytes(shapes, workers), memoryBytes);

  const bases = await readBases(starts, options.weightCache);
  const layout = layoutOf(models, { ...sharingOf(trains), bases: bases.names });
  const lineSearch = lineSearchTensors(layout, trains);
  const groups = oneGroup(layout, config.optimizer, { lineSearch });
  const updated = groups.flatMap(({ tensors }) => tensors);
  const restored =
    options.checkpoint === undefined ? undefined : await loadCheckpoint(options.checkpoint, layout, updated);
  const from = restored?.state ?? { p: await initialParameters(layout, starts, bases, config.seed) };
  const publish = await publisherOf(starts[0]!);
  const main = trains[0]!.role;
  const trainer = await createTrainer({
    engine,
    layout,
    groups,
    lineSearch,
    programs: method.programs(config, models),
    shapes: allShapes({
      microBatchSize: config.microBatchSize,
      microBatchTokens: config.microBatchTokens,
      contextLength: models[main]!.contextLength,
      groupSize: sequencesPerItem,
    }),
    from: { ...from, p: { ...from.p, ...(await bases.loaded(layout)) } },
    frozen: bases.mapped(layout),
    gradientCheckpointing: config.gradientCheckpointing,
  });

  let step = restored?.checkpoint.step ?? 0;
  let carry: Carry = restored?.checkpoint.memory ?? method.start(config);
  let steps = options.steps ?? config.steps!;
  const current = () =>
    ({ config: { ...config, steps }, step, trainer, carry }) as Step<typeof config.method>;

  const session: Session = {
    get step() {
      return step;
    },
    async update(items, beside = {}) {
      const { carry: carried, ...result } = await method.update(current(), items, beside);
      carry = carried;
      step++;
      const padding = trainer.takePadding();
      if (padding === undefined) return result;
      return { ...result, metrics: { ...result.metrics, 'tokens/padding': padding } };
    },
    extend: (count) => {
      steps = count;
    },
    evaluate: async (items) => (await method.evaluate?.(current(), items)) ?? {},
    async savePublished(directory) {
      const own = trainer.layout.models[main]!;
      const config = method.published?.(own, carry) ?? own;
      await publish(directory, config, await trainer.parameters(main));
    },
    parameters: () => trainer.parameters(main),
    saveCheckpoint: async (directory, positions) =>
      saveCheckpoint(directory, layout, await trainer.state(), {
        step,
        memory: carry,
        positions,
        build: options.build,
      }),
    close: () => trainer.close(),
  };
  return { session, positions: restored?.checkpoint.positions ?? {}, build: restored?.checkpoint.build };
}

/** The least memory for any data: a sequence has at least two tokens. */
const leastBytes = (trained: Parameters<typeof trainingBytes>[0], workers: number): number =>
  trainingBytes(trained, { workers, rows: 1, length: 2 });

/** A run that only measures has no parameters and nothing to save. */
function measuring(config: RunConfig): Session {
  const method = methodOf(config.method);
  let step = 0;
  const nothing = async () => {
    throw new TrainingError(
      'TRAINING_CHECKPOINT_INVALID',
      `a ${config.method} run trains nothing that could be saved`,
    );
  };
  return {
    get step() {
      return step;
    },
    async update(items, beside = {}) {
      const { carry: _, ...result } = await method.update(
        { config, step, carry: {} } as Step<typeof config.method>,
        items,
        beside,
      );
      step++;
      return result;
    },
    extend: () => {},
    evaluate: async () => ({}),
    parameters: nothing,
    savePublished: nothing,
    saveCheckpoint: nothing,
    close: async () => {},
  };
}
