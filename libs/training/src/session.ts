/** A run under training: its method, its trainer, and the way to and from files. */
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
import { type Item, type RunConfig, RunError } from '@rlhf-streams/runs';
import type { Engine } from '@rlhf-streams/tensor';
import { TrainingError } from './errors.js';
import { methodOf } from './methods/index.js';
import type { Memory, Metrics, Step, StepResult } from './methods/method.js';
import { type Checkpoint, loadCheckpoint, saveCheckpoint } from './trainer/checkpoint.js';
import { layoutOf, type Models, ofRole, type Role } from './trainer/layout.js';
import { createTrainer, type Trainer, type TrainerState } from './trainer/trainer.js';

export interface Session {
  /** Steps done. */
  readonly step: number;
  /** Computes the next training step. */
  update(items: readonly Item[]): Promise<Omit<StepResult, 'memory'>>;
  /** Measures held-out items. */
  evaluate(items: readonly Item[]): Promise<Metrics>;
  /** Writes what the run publishes, in the Hugging Face layout, into a missing folder. */
  savePublished(directory: string): Promise<void>;
  /** Writes everything needed to go on from here, into a missing folder. */
  saveCheckpoint(directory: string, positions: Checkpoint['positions']): Promise<void>;
  /** Frees what the run holds. */
  close(): Promise<void>;
}

export interface SessionOptions {
  readonly config: RunConfig;
  /** Folders of the models the run starts from, by role. */
  readonly models: { readonly policy: string; readonly value?: string | undefined };
  /** Folder of the checkpoint to go on from. */
  readonly checkpoint?: string | undefined;
  /** Stamped into the checkpoints it saves. */
  readonly build: Build;
  readonly engine: Engine;
  readonly lanes: number;
  /** Of memory at hand: a run that needs more is not opened. Default: no limit. */
  readonly memoryBytes?: number;
}

/** Opens a run at its start, or where a checkpoint left it; `positions` and `build` are the checkpoint's. */
export async function openSession(
  options: SessionOptions,
): Promise<{ session: Session } & Pick<Checkpoint, 'positions' | 'build'>> {
  const { config, memoryBytes = Number.POSITIVE_INFINITY } = options;
  const method = methodOf(config.method);
  const published = await readCheckpoint(options.models.policy, {
    admit: (model) => {
      if (method.trains.length > 0)
        requireMemory('the model trained', leastBytes([model], options.lanes), memoryBytes);
    },
  });
  if (method.trains.length === 0) return { session: measuring(config), positions: {} };
  const extraFiles = await readExtraFiles(options.models.policy);

  const sources = await Promise.all(method.trains.map((role) => sourceOf(role, options, published)));
  const models: Models = Object.fromEntries(method.trains.map((role, i) => [role, sources[i]!.config]));
  requireMemory('the models trained', leastBytes(Object.values(models), options.lanes), memoryBytes);
  const layout = layoutOf(models);
  const restored =
    options.checkpoint === undefined ? undefined : await loadCheckpoint(options.checkpoint, layout);
  const from = restored?.state ?? initialState(layout, method.trains, sources);
  const trainer = await createTrainer({
    engine: options.engine,
    lanes: options.lanes,
    layout,
    optimizer: optimizerOf(config),
    from,
  });

  let step = restored?.checkpoint.step ?? 0;
  let memory: Memory = restored?.checkpoint.memory ?? method.start(config);
  const current = () => ({ config, step, trainer, memory }) as Step<typeof config.method>;
  const main = method.trains[0]!;

  const session: Session = {
    get step() {
      return step;
    },
    async update(items) {
      const { memory: remembered, ...result } = await method.update(current(), items);
      memory = remembered;
      step++;
      return result;
    },
    evaluate: async (items) => (await method.evaluate?.(current(), items)) ?? {},
    savePublished: (directory) => publish(directory, trainer, main, published.tokenizer, extraFiles),
    saveCheckpoint: (directory, positions) =>
      saveCheckpoint(directory, layout, trainer.state(), { step, memory, positions, build: options.build }),
    close: () => trainer.close(),
  };
  return { session, positions: restored?.checkpoint.positions ?? {}, build: restored?.checkpoint.build };
}

/** Whatever its data: a sequence has two tokens at least. */
const leastBytes = (models: readonly ModelConfig[], lanes: number): number =>
  trainingBytes(models, { lanes, rows: 1, length: 2 });

/** A run that only measures has no parameters, and nothing to publish after its first version. */
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
      const { memory: _, ...result } = await method.update(
        { config, step, memory: {} } as Step<typeof config.method>,
        items,
      );
      step++;
      return result;
    },
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

/** Where a trained model starts: the policy as it is; a scalar head on a body where the folder has none. */
async function sourceOf(
  role: Role,
  { models, config }: SessionOptions,
  policy: ModelFiles,
): Promise<ModelFiles> {
  if (role === 'policy') return policy;
  const body = role === 'value' && models.value !== undefined ? await readCheckpoint(models.value) : policy;
  if (
    role === 'value' &&
    (body.config.vocabSize < policy.config.vocabSize ||
      body.config.contextLength < policy.config.contextLength)
  ) {
    throw new TrainingError(
      'TRAINING_MODELS_DIFFER',
      `expected the value model to read the policy's ${policy.config.vocabSize} tokens in contexts of ${policy.config.contextLength}, got ${body.config.vocabSize} and ${body.config.contextLength}`,
    );
  }
  if (modelKind(body.config) === 'reward model') return body;
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

function initialState(
  layout: ReturnType<typeof layoutOf>,
  roles: readonly Role[],
  sources: readonly ModelFiles[],
): TrainerState {
  const p = new Float32Array(layout.size);
  const views = layout.views(p);
  roles.forEach((role, i) => {
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

const optimizerOf = (config: RunConfig) => {
  if (config.method === 'sample')
    throw new RunError('TRAINING_CONFIG_INVALID', 'a sampling run has no optimizer');
  return config.optimizer;
};
