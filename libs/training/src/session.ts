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
import type { Engine } from '@rlhf-streams/tensor';
import { TrainingError } from './errors.js';
import { methodOf } from './methods/index.js';
import type { Carry, Metrics, Step, StepResult } from './methods/method.js';
import { type Checkpoint, loadCheckpoint, saveCheckpoint } from './trainer/checkpoint.js';
import { layoutOf, type Models, ofRole, type Role } from './trainer/layout.js';
import { createTrainer, type Trainer, type TrainerState } from './trainer/trainer.js';

export interface Session {
  /** Steps done. */
  readonly step: number;
  /** Computes the next training step. */
  update(items: readonly Item[]): Promise<Omit<StepResult, 'carry'>>;
  /** From the next step on the run has so many steps: its learning rates follow that. */
  extend(steps: number): void;
  /** Measures held-out items. */
  evaluate(items: readonly Item[]): Promise<Metrics>;
  /** Writes what the run publishes, in the Hugging Face layout, into a missing folder. */
  savePublished(directory: string): Promise<void>;
  /** Writes everything needed to go on from here, into a missing folder. */
  saveCheckpoint(directory: string, positions: Checkpoint['positions']): Promise<void>;
  /** Frees the memory of the run. */
  close(): Promise<void>;
}

export interface SessionOptions {
  readonly config: RunConfig;
  /** Number of its training steps. Default: as configured, of a run that does not count epochs. */
  readonly steps?: number | undefined;
  /** Folders of the models that the run starts from, by role. */
  readonly models: StartingModels;
  /** Folder of the checkpoint to go on from. */
  readonly checkpoint?: string | undefined;
  /** Stamped into the checkpoints it saves. */
  readonly build: Build;
  readonly engine: Engine;
  readonly lanes: number;
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
  const { config, memoryBytes = Number.POSITIVE_INFINITY } = options;
  // A method without an optimizer trains nothing.
  if (!('optimizer' in config)) return { session: measuring(config), positions: {} };
  const method = methodOf(config.method);
  const { trains } = specOf(config);
  const published = await readCheckpoint(options.models.policy, {
    admit: (model) => requireMemory('the model trained', leastBytes([model], options.lanes), memoryBytes),
  });
  const extraFiles = await readExtraFiles(options.models.policy);

  const sources = await Promise.all(trains.map((model) => sourceOf(model, options, published)));
  const models: Models = Object.fromEntries(trains.map(({ role }, i) => [role, sources[i]!.config]));
  requireMemory('the models trained', leastBytes(Object.values(models), options.lanes), memoryBytes);
  const layout = layoutOf(models);
  const restored =
    options.checkpoint === undefined ? undefined : await loadCheckpoint(options.checkpoint, layout);
  const from = restored?.state ?? initialState(layout, sources);
  const trainer = await createTrainer({
    engine: options.engine,
    lanes: options.lanes,
    layout,
    optimizer: config.optimizer,
    from,
  });

  let step = restored?.checkpoint.step ?? 0;
  let carry: Carry = restored?.checkpoint.memory ?? method.start(config);
  let steps = options.steps ?? config.steps!;
  const current = () =>
    ({ config: { ...config, steps }, step, trainer, carry }) as Step<typeof config.method>;
  const main = trains[0]!.role;

  const session: Session = {
    get step() {
      return step;
    },
    async update(items) {
      const { carry: carried, ...result } = await method.update(current(), items);
      carry = carried;
      step++;
      return result;
    },
    extend: (count) => {
      steps = count;
    },
    evaluate: async (items) => (await method.evaluate?.(current(), items)) ?? {},
    savePublished: (directory) => publish(directory, trainer, main, published.tokenizer, extraFiles),
    saveCheckpoint: (directory, positions) =>
      saveCheckpoint(directory, layout, trainer.state(), {
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
const leastBytes = (models: readonly ModelConfig[], lanes: number): number =>
  trainingBytes(models, { lanes, rows: 1, length: 2 });

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
    async update(items) {
      const { carry: _, ...result } = await method.update(
        { config, step, carry: {} } as Step<typeof config.method>,
        items,
      );
      step++;
      return result;
    },
    extend: () => {},
    evaluate: async () => ({}),
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
  if (head === 'language' || modelKind(body.config) === 'reward model') return body;
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

function initialState(layout: ReturnType<typeof layoutOf>, sources: readonly ModelFiles[]): TrainerState {
  const p = new Float32Array(layout.size);
  const views = layout.views(p);
  (Object.keys(layout.models) as Role[]).forEach((role, i) => {
    for (const [name, view] of Object.entries(ofRole(role, views)))
      view.set(sources[i]!.tensors.get(name)!.data);
  });
  return { p, m: new Float32Array(layout.size), v: new Float32Array(layout.size), updates: 0 };
}

async function publish(
  directory: string,
  trainer: Trainer,
  role: Role,
  tokenizer: TokenizerFiles | undefined,
  extraFiles: ReadonlyMap<string, Uint8Array>,
): Promise<void> {
  const config = trainer.layout.models[role]!;
  const shapes = ofRole(role, trainer.layout.specs);
  const tensors = new Map(
    Object.entries(ofRole(role, trainer.parameters())).map(([name, data]) => [
      name,
      { shape: [...shapes[name]!.shape], data: Float32Array.from(data) },
    ]),
  );
  await writeCheckpoint(directory, { ...exportedCheckpoint({ config, tokenizer, extraFiles }), tensors });
}
