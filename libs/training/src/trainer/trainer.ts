/** Gradient, optimizer and layout together: parameters that live in an engine, and the steps that change them there. */
import {
  type Buffers,
  type Engine,
  type Frozen,
  type Program,
  type Specs,
  sizeOf,
} from '@rlhf-streams/tensor';
import { TrainingError } from '../errors.js';
import type { Layout, Role } from './layout.js';
import { type LineSearchMoves, lineSearchMoves, lineSearchPrograms, lineSearchSpecs } from './line-search.js';
import {
  applyGradient,
  clearGradient,
  firstMoment,
  momentSpecs,
  optimizerPrograms,
  type ParameterGroup,
  secondMoment,
} from './optimizer.js';
import {
  type BatchShape,
  fisherProgram,
  type GradientOptions,
  gradient,
  gradientProgram,
  inferenceProgram,
  lossProgram,
  type Measured,
  type MicroBatch,
  NORMALISER,
  type Programs,
  parameter,
  readMeasured,
  trialProgram,
} from './program.js';

/** What training goes on from: trained tensors and the moments of their gradients by name, and how many updates made them. */
export interface TrainerState {
  readonly p: Buffers;
  readonly m: Buffers;
  readonly v: Buffers;
  readonly updates: number;
}

/** What a batch comes to. */
export interface BatchResult {
  /** `loss` and the stats of the program. */
  readonly stats: Readonly<Record<string, number>>;
  /** What the program gives by token or sequence, for each micro-batch. */
  readonly outputs: readonly Buffers[];
}

export interface Trainer {
  readonly layout: Layout;
  /**
   * One update by the gradient of a whole batch: `accumulate`, then `apply`.
   * @returns with `gradNorm` among the stats
   * @throws AlignmentError ALIGNMENT_NOT_FINITE when the gradient is; nothing is updated then
   */
  update(
    program: string,
    microBatches: readonly MicroBatch[],
    options: { readonly normaliser: number } & Rates,
  ): Promise<BatchResult>;
  /**
   * Adds a batch's gradient to what was accumulated since the last update. It is given as micro-batches, whose gradients
   * are added in their order: the same bits on any number of workers.
   * @param normaliser rows or tokens of the whole batch
   */
  accumulate(program: string, microBatches: readonly MicroBatch[], normaliser: number): Promise<BatchResult>;
  /** Updates every group by what was accumulated, which is 0 afterwards. @returns the norm before clipping */
  apply(rates: Rates): Promise<number>;
  /** Forgets what was accumulated. */
  clear(): Promise<void>;
  /** Loss and stats of a batch, without a gradient. */
  evaluate(program: string, microBatches: readonly MicroBatch[], normaliser: number): Promise<BatchResult>;
  /** What a program computes of each micro-batch, in their order. */
  infer(program: string, microBatches: readonly MicroBatch[]): Promise<Buffers[]>;

  /** Moves the tensors that the trainer was made to search along, as a whole. */
  readonly lineSearch: LineSearchMoves & {
    /**
     * F v of a batch, through micro-batches like a gradient. What was accumulated before must have been taken; the
     * direction is v afterwards.
     */
    fisher(
      program: string,
      microBatches: readonly MicroBatch[],
      normaliser: number,
      v: Float32Array,
    ): Promise<Float32Array>;
    /** Measures a batch beside the snapshot. */
    measure(program: string, microBatches: readonly MicroBatch[], normaliser: number): Promise<BatchResult>;
  };

  /**
   * The share of padding among the tokens of the micro-batches that gradients were accumulated of since it was last taken;
   * undefined where there were none.
   */
  takePadding(): number | undefined;

  /** The trained parameters of a role's model, by their names in the model. */
  parameters(role: Role): Promise<Buffers>;
  /** Everything that training goes on from. */
  state(): Promise<TrainerState>;
  /** Frees the memory of the engine. */
  close(): Promise<void>;
}

/** One learning rate for all groups, or one for each. */
interface Rates {
  readonly learningRate: number | readonly number[];
}

export interface TrainerOptions {
  readonly engine: Engine;
  readonly layout: Layout;
  /** Each trained tensor in one of them at most: what is in none, `apply` leaves as it is. */
  readonly groups: readonly ParameterGroup[];
  /** All that will be asked for, and every shape that micro-batches may have. */
  readonly programs: Programs;
  readonly shapes: readonly BatchShape[];
  /** Where training starts. Moments that are not given are 0. */
  readonly from: Pick<TrainerState, 'p'> & Partial<TrainerState>;
  /** Values of the layout's frozen tensors, by their names there; others are among those that training starts from. */
  readonly frozen?: Frozen | undefined;
  /** Computes layers again for a gradient, one at a time, instead of keeping what they computed. Default: no. */
  readonly gradientCheckpointing?: boolean;
  /** Trained tensors that a line search moves, which takes memory for a snapshot and a direction. Default: none. */
  readonly lineSearch?: readonly string[];
}

export async function createTrainer(options: TrainerOptions): Promise<Trainer> {
  const { engine, layout, groups, from, frozen, lineSearch = [] } = options;
  const workspace = await engine.open(stateSpecs(options), {
    ...(frozen && { frozen: asParameters(frozen) }),
  });
  const listed = listedPrograms(options);
  await workspace.add(listed);
  const always = {
    ...optimizerPrograms(layout, groups),
    ...(lineSearch.length > 0 && lineSearchPrograms(lineSearch)),
  };
  await workspace.add(always, { soon: true });
  await workspace.load({
    ...renamed(from.p, parameter),
    ...renamed(from.m ?? {}, firstMoment),
    ...renamed(from.v ?? {}, secondMoment),
  });
  let updates = from.updates ?? 0;

  const run = (kind: Kind, program: string, { specs, buffers }: MicroBatch, more: Buffers = {}) => {
    const name = programName(kind, program, specs);
    if (listed[name]) return workspace.run(name, { ...buffers, ...more });
    throw new TrainingError(
      'TRAINING_PROGRAM_UNKNOWN',
      `expected one of the ${Object.keys(listed).length} programs and shapes that the run listed, got ${name}: list it among the programs of the method, and its shape among those of the run`,
    );
  };
  const measure = async (
    kind: 'gradient' | 'loss' | 'trial',
    program: string,
    microBatches: readonly MicroBatch[],
    normaliser: number,
  ): Promise<BatchResult> => {
    const more = { [NORMALISER]: Float32Array.of(normaliser) };
    return sumOf(
      (await allOf(microBatches.map(async (batch) => run(kind, program, batch, more)))).map(readMeasured),
    );
  };

  const tokens = { all: 0, used: 0 };
  const moves = lineSearchMoves(workspace, layout, lineSearch);
  const trainer: Trainer = {
    layout,
    async update(program, microBatches, { normaliser, learningRate }) {
      const { stats, outputs } = await trainer.accumulate(program, microBatches, normaliser);
      return { stats: { ...stats, gradNorm: await trainer.apply({ learningRate }) }, outputs };
    },
    async accumulate(program, microBatches, normaliser) {
      for (const { specs, used } of microBatches) {
        const { ids } = specs;
        if (!ids) continue;
        const size = sizeOf(ids.shape);
        tokens.all += size;
        tokens.used += used ?? size;
      }
      try {
        return await measure('gradient', program, microBatches, normaliser);
      } catch (error) {
        await clearGradient(workspace);
        throw error;
      }
    },
    async apply({ learningRate }) {
      const learningRates = typeof learningRate === 'number' ? groups.map(() => learningRate) : learningRate;
      try {
        const norm = await applyGradient(workspace, groups, { updates: updates + 1, learningRates });
        updates++;
        return norm;
      } catch (error) {
        await clearGradient(workspace);
        throw error;
      }
    },
    clear: () => clearGradient(workspace),
    evaluate: (program, microBatches, normaliser) => measure('loss', program, microBatches, normaliser),
    infer: (program, microBatches) =>
      allOf(microBatches.map(async (batch) => run('inference', program, batch))),

    lineSearch: {
      ...moves,
      async fisher(program, microBatches, normaliser, v) {
        await moves.direct(v);
        const more = { [NORMALISER]: Float32Array.of(normaliser) };
        try {
          await allOf(microBatches.map(async (batch) => run('fisher', program, batch, more)));
        } catch (error) {
          await clearGradient(workspace);
          throw error;
        }
        return moves.takeGradient();
      },
      measure: (program, microBatches, normaliser) => measure('trial', program, microBatches, normaliser),
    },

    takePadding() {
      const { all, used } = tokens;
      Object.assign(tokens, { all: 0, used: 0 });
      return all === 0 ? undefined : 1 - used / all;
    },

    async parameters(role) {
      const names = [...layout.namesOf(role)].filter(([, name]) => !layout.tensors.get(name)!.frozen);
      const read = await workspace.read(names.map(([, name]) => parameter(name)));
      return Object.fromEntries(names.map(([own, name]) => [own, read[parameter(name)]!]));
    },
    async state() {
      const trained = Object.keys(layout.trained);
      const updated = groups.flatMap(({ tensors }) => tensors);
      const names = [...trained.map(parameter), ...updated.map(firstMoment), ...updated.map(secondMoment)];
      const made = updates;
      const buffers = await workspace.read(names);
      const of = (names: readonly string[], as: (name: string) => string): Buffers =>
        Object.fromEntries(names.map((name) => [name, buffers[as(name)]!]));
      return {
        p: of(trained, parameter),
        m: of(updated, firstMoment),
        v: of(updated, secondMoment),
        updates: made,
      };
    },
    close: () => workspace.dispose(),
  };
  return trainer;
}

const stateSpecs = ({ layout, groups, lineSearch = [] }: TrainerOptions): Specs => ({
  ...renamed(Object.fromEntries([...layout.tensors].map(([name, { spec }]) => [name, spec])), parameter),
  ...renamed(layout.trained, gradient),
  ...momentSpecs(layout, groups),
  ...lineSearchSpecs(layout, lineSearch),
});

type Kind = 'gradient' | 'loss' | 'inference' | 'fisher' | 'trial';

/** Names everything that a compiled program depends on. */
const programName = (kind: Kind, program: string, specs: Specs): string =>
  `${kind} of ${program}: ${Object.entries(specs)
    .map(([name, { shape }]) => `${name}[${shape}]`)
    .join(' ')}`;

function listedPrograms({
  layout,
  programs,
  shapes,
  gradientCheckpointing = false,
}: TrainerOptions): Record<string, Program> {
  const options = { recomputes: gradientCheckpointing };
  const { gradients = {}, losses = {}, inference = {}, fisher = {}, trials = {} } = programs;
  const listed: Record<string, Program> = {};
  const list = <Listed extends { readonly inputs: (shape: BatchShape) => Specs }>(
    kind: Kind,
    byName: Readonly<Record<string, Listed>>,
    make: (layout: Layout, program: Listed, specs: Specs, options: GradientOptions) => Program,
  ) => {
    for (const [name, program] of Object.entries(byName)) {
      for (const shape of shapes) {
        const specs = program.inputs(shape);
        listed[programName(kind, name, specs)] ??= make(layout, program, specs, options);
      }
    }
  };
  list('gradient', gradients, gradientProgram);
  list('loss', losses, lossProgram);
  list('inference', inference, inferenceProgram);
  list('fisher', fisher, fisherProgram);
  list('trial', trials, trialProgram);
  return listed;
}

/** The results of calls under way, when all of them have ended. @throws what the first that failed threw */
async function allOf<T>(calls: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(calls);
  return Promise.all(calls);
}

function sumOf(measured: readonly Measured[]): BatchResult {
  const stats: Record<string, number> = {};
  for (const one of measured)
    for (const [name, value] of Object.entries(one.stats)) stats[name] = (stats[name] ?? 0) + value;
  return { stats, outputs: measured.map(({ outputs }) => outputs) };
}

/** Frozen tensors under their names in the state. */
const asParameters = (frozen: Frozen): Frozen =>
  'values' in frozen
    ? { hash: frozen.hash, values: renamed(frozen.values, parameter) }
    : {
        hash: frozen.hash,
        stored: { ...frozen.stored, offsets: renamed(frozen.stored.offsets, parameter) },
      };

const renamed = <T>(byName: Readonly<Record<string, T>>, as: (name: string) => string): Record<string, T> =>
  Object.fromEntries(Object.entries(byName).map(([name, value]) => [as(name), value]));
