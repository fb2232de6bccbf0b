/** A run under training: joins its method to its trainer, and reads and writes its files. */
import type { Build } from '@rlhf-streams/events';
import {
  architectureOf,
  exportedCheckpoint,
  initialiseWeights,
  type ModelConfig,
  modelKind,
  readCheckpoint,
  readExtraFiles,
  requireMemory,
  type TokenizerFiles,
  trainingBytes,
  type WeightTensor,
  withScalarHead,
  writeCheckpoint,
} from '@rlhf-streams/model';
import { type Item, type RunConfig, specOf, type TrainedModel } from '@rlhf-streams/runs';
import type { Buffers, Engine } from '@rlhf-streams/tensor';
import { TrainingError } from './errors.js';
import { methodOf } from './methods/index.js';
import type { Beside, Carry, Metrics, Step, StepResult } from './methods/method.js';
import { allShapes } from './methods/rows.js';
import { type Checkpoint, loadCheckpoint, saveCheckpoint } from './trainer/checkpoint.js';
import { type Layout, layoutOf, type Models, type Role, sharingOf } from './trainer/layout.js';
import { lineSearchTensors } from './trainer/line-search.js';
import { oneGroup } from './trainer/optimizer.js';
import { createTrainer, type Trainer } from './trainer/trainer.js';

export interface Session {
  /** Steps done. */
  readonly step: number;
  /** Computes the next training step. */
  update(items: readonly Item[], beside?: Beside): Promise<Omit<StepResult, 'carry'>>;
  /** Sets the run's number of steps from the next step on, which the schedule of its learning rate depends on. */
  extend(steps: number): void;
  /** Measures held-out items. */
  evaluate(items: readonly Item[]): Promise<Metrics>;
  /** The weights of the model that the run publishes, by its architecture's names. */
  parameters(): Promise<Buffers>;
  /** Writes what the run publishes, in the Hugging Face layout, into a missing folder. */
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
  /** Folders of the models that the run starts from, by role. */
  readonly models: StartingModels;
  /** Folder of the checkpoint to go on from. */
  readonly checkpoint?: string | undefined;
  /** Stamped into the checkpoints it saves. */
  readonly build?: Build;
  readonly engine: Engine;
  /** How many micro-batches the engine computes at a time, for the estimate of memory. Default 1. */
  readonly workers?: number;
  /** Memory at hand; a run that needs more is not opened. Default: no limit. */
  readonly memoryBytes?: number;
}

/** `policy` is the policy, or the body of a reward model. A trained role that is not listed starts from it. */
export interface StartingModels {
  readonly policy: string;
  readonly [role: string]: string | undefined;
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
  const published = await readCheckpoint(options.models.policy, {
    admit: (model) => requireMemory('the model trained', leastBytes([{ model }], workers), memoryBytes),
  });
  const extraFiles = await readExtraFiles(options.models.policy);

  const sources = await Promise.all(trains.map((model) => sourceOf(model, options, published)));
  const models: Models = Object.fromEntries(trains.map(({ role }, i) => [role, sources[i]!.config]));
  const trained = trains.map(({ trunk, movedBy }, i) => ({
    model: sources[i]!.config,
    onTrunk: trunk !== undefined,
    byLineSearch: movedBy === 'line search',
  }));
  requireMemory('the models trained', leastBytes(trained, workers), memoryBytes);
  const layout = layoutOf(models, sharingOf(trains));
  const lineSearch = lineSearchTensors(layout, trains);
  const groups = oneGroup(layout, config.optimizer, { lineSearch });
  const updated = groups.flatMap(({ tensors }) => tensors);
  const restored =
    options.checkpoint === undefined ? undefined : await loadCheckpoint(options.checkpoint, layout, updated);
  const main = trains[0]!.role;
  const trainer = await createTrainer({
    engine,
    layout,
    groups,
    lineSearch,
    programs: method.programs(config, models),
    shapes: allShapes({
      microBatchSize: config.microBatchSize,
      contextLength: models[main]!.contextLength,
      groupSize: sequencesPerItem,
    }),
    from: restored?.state ?? { p: initialParameters(layout, sources) },
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
      return result;
    },
    extend: (count) => {
      steps = count;
    },
    evaluate: async (items) => (await method.evaluate?.(current(), items)) ?? {},
    async savePublished(directory) {
      const own = trainer.layout.models[main]!;
      const config = method.published?.(own, carry) ?? own;
      await publish(directory, trainer, main, { config, tokenizer: published.tokenizer, extraFiles });
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

interface ModelFiles {
  readonly config: ModelConfig;
  readonly tensors: ReadonlyMap<string, WeightTensor>;
}

/** Where a trained model starts: a model as it is, or with a new scalar head where it has none. */
async function sourceOf(
  { role, from, head }: TrainedModel,
  { models, config }: SessionOptions,
  policy: ModelFiles,
): Promise<ModelFiles> {
  const own = models[from];
  const body = own === undefined || own === models.policy ? policy : await readCheckpoint(own);
  if (
    body.config.vocabSize < policy.config.vocabSize ||
    body.config.contextLength < policy.config.contextLength
  ) {
    throw new TrainingError(
      'TRAINING_MODELS_DIFFER',
      `expected the ${role} model to read the policy's ${policy.config.vocabSize} tokens in contexts of ${policy.config.contextLength}, got ${body.config.vocabSize} and ${body.config.contextLength}`,
    );
  }
  if (head === 'language') return body;
  // The offset of its scores was of the weights that it had: what it is trained into gets one of its own.
  if (modelKind(body.config) === 'reward model') return { ...body, config: withScalarHead(body.config) };
  const scalar = withScalarHead(body.config);
  const learned = architectureOf(scalar).tensors(scalar);
  const tensors = new Map(
    [...initialiseWeights(scalar, config.seed)].map(([name, fresh]) => [
      name,
      learned.get(name)!.ofHead ? fresh : body.tensors.get(name)!,
    ]),
  );
  return { config: scalar, tensors };
}

function initialParameters(layout: Layout, sources: readonly ModelFiles[]): Buffers {
  const roles = Object.keys(layout.models) as Role[];
  return Object.fromEntries(
    roles.flatMap((role, i) =>
      [...layout.namesOf(role)].map(([name, full]) => [full, sources[i]!.tensors.get(name)!.data]),
    ),
  );
}

/** What a run publishes besides its weights. */
interface Published {
  readonly config: ModelConfig;
  readonly tokenizer: TokenizerFiles | undefined;
  readonly extraFiles: ReadonlyMap<string, Uint8Array>;
}

async function publish(
  directory: string,
  trainer: Trainer,
  role: Role,
  { config, ...files }: Published,
): Promise<void> {
  const parameters = await trainer.parameters(role);
  const tensors = new Map(
    [...architectureOf(config).tensors(config)].map(([name, { shape }]) => [
      name,
      { shape: [...shape], data: parameters[name] as Float32Array },
    ]),
  );
  await writeCheckpoint(directory, { ...exportedCheckpoint({ config, ...files }), tensors });
}
