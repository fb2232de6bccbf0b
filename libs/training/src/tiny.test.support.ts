/** A tiny model, its runs, and items for every method, all functions of a seed. */
import { seededRandom } from '@rlhf-streams/data';
import type { DataFor } from '@rlhf-streams/events';
import { keyFor, parseModelConfig, trainedModel, uniform, withScalarHead } from '@rlhf-streams/model';
import {
  type ConfigOf,
  type Item,
  type MethodName,
  methodNames,
  methods,
  type OptimizerConfig,
  parseRunConfig,
  type RunConfig,
  specOf,
} from '@rlhf-streams/runs';
import { type Buffers, type Engine, sizeOf } from '@rlhf-streams/tensor';
import { expect } from 'vitest';
import { nextTokenLogprobs } from './methods/forward.js';
import { methodOf } from './methods/index.js';
import type { Beside, Metrics, Step, StepResult } from './methods/method.js';
import {
  allShapes,
  bySequence,
  type Sequence,
  sequenceBatch,
  sequenceInputs,
  shapeOf,
} from './methods/rows.js';
import { type Layout, layoutOf, sharingOf } from './trainer/layout.js';
import { lineSearchTensors } from './trainer/line-search.js';
import { oneGroup } from './trainer/optimizer.js';
import type { InferenceProgram, MicroBatch, Programs } from './trainer/program.js';
import { createTrainer, type Trainer } from './trainer/trainer.js';

export type TrainingMethod = Extract<RunConfig, { optimizer: OptimizerConfig }>['method'];
export const trainingMethods = methodNames.filter(
  (name): name is TrainingMethod => methods[name].trains.length > 0,
);

const VOCABULARY = 53;
export const language = parseModelConfig({
  model_type: 'gpt2',
  vocab_size: VOCABULARY,
  n_positions: 24,
  n_embd: 16,
  n_layer: 1,
  n_head: 2,
  n_inner: 32,
  bos_token_id: 0,
  eos_token_id: 0,
});
export const scalar = withScalarHead(language);

/** The smallest run of a method, with a learning rate for tiny models. */
export function runOf<Name extends TrainingMethod>(
  method: Name,
  change: Record<string, unknown> = {},
): ConfigOf<Name> {
  const { optimizer, ...rest } = change;
  const json = {
    ...(methods[method].config.meta()!.examples as [object])[0],
    run: 'tiny',
    steps: 100,
    microBatchSize: 4,
    optimizer: { learningRate: 3e-3, ...(optimizer as object) },
    ...rest,
  };
  return parseRunConfig(json) as ConfigOf<Name>;
}

export const layoutFor = (method: TrainingMethod): Layout => layoutOfRun(runOf(method));

export function layoutOfRun(config: RunConfig): Layout {
  const { trains } = specOf(config);
  const peft = 'peft' in config ? config.peft : undefined;
  const models = trains.map(
    ({ role, head }, i) => [role, trainedModel(language, { head, peft, isPublished: i === 0 })] as const,
  );
  return layoutOf(Object.fromEntries(models), sharingOf(trains));
}

/** Weights all unlike each other, those of biases, norms and heads too, so that no gradient is zero by chance. */
export const initialParameters = (layout: Layout, seed = 0): Record<string, Float32Array> =>
  valuesOf(layout.trained, seed);

/** The same of a base under adapters. */
export const frozenParameters = ({ tensors }: Layout, seed = 0): Record<string, Float32Array> =>
  valuesOf(
    Object.fromEntries(
      [...tensors].flatMap(([name, { spec, frozen }]) => (frozen ? [[name, spec] as const] : [])),
    ),
    seed,
  );

function valuesOf(specs: Layout['trained'], seed: number): Record<string, Float32Array> {
  return Object.fromEntries(
    Object.entries(specs).map(([name, { shape }]) => {
      const key = keyFor(seed, name);
      const centre = /\.ln_\w+\.weight$/.test(name) ? 1 : 0;
      return [
        name,
        Float32Array.from({ length: sizeOf(shape) }, (_, i) => centre + 0.6 * (uniform(key, i) - 0.5)),
      ];
    }),
  );
}

/** A run under training, without files. */
export interface TinyRun {
  readonly trainer: Trainer;
  update(items: readonly Item[], beside?: Beside): Promise<Metrics>;
  evaluate(items: readonly Item[]): Promise<Metrics>;
  readonly carry: StepResult['carry'];
  /** Of the last update. */
  readonly results: StepResult['results'];
  readonly comparisons: StepResult['comparisons'];
}

export async function begin(
  config: RunConfig,
  engine: Engine,
  options: { layout?: Layout; programs?: Programs; from?: Buffers } = {},
): Promise<TinyRun> {
  if (!('optimizer' in config)) throw new Error('a run without an optimizer trains nothing');
  const { layout = layoutOfRun(config), programs = {} } = options;
  const { from = initialParameters(layout) } = options;
  const values = frozenParameters(layout);
  const method = methodOf(config.method);
  const lineSearch = lineSearchTensors(layout, specOf(config).trains);
  const listed = method.programs(config, layout.models);
  const trainer = await createTrainer({
    engine,
    layout,
    groups: oneGroup(layout, config.optimizer, { lineSearch }),
    lineSearch,
    programs: {
      ...listed,
      gradients: { ...listed.gradients, ...programs.gradients },
      losses: { ...listed.losses, ...programs.losses },
      inference: { ...listed.inference, ...logprobPrograms(layout), ...programs.inference },
    },
    shapes: shapesFor(config),
    gradientCheckpointing: 'gradientCheckpointing' in config && config.gradientCheckpointing,
    from: { p: from },
    ...(Object.keys(values).length > 0 && { frozen: { hash: 'tiny base', values } }),
  });
  let carry = method.start(config);
  let step = 0;
  let results: StepResult['results'];
  let comparisons: StepResult['comparisons'];
  const current = () => ({ config, step, trainer, carry }) as Step<MethodName>;
  return {
    trainer,
    get carry() {
      return carry;
    },
    get results() {
      return results;
    },
    get comparisons() {
      return comparisons;
    },
    async update(items, beside = {}) {
      const result = await method.update(current(), items, beside);
      ({ carry, results, comparisons } = result);
      step++;
      return result.metrics;
    },
    evaluate: (items) => method.evaluate!(current(), items),
  };
}

/** The shapes of a run, and those that `oneBatch` has. */
function shapesFor(config: RunConfig) {
  const { contextLength } = language;
  const { sequencesPerItem: groupSize } = specOf(config);
  const limits = { contextLength, groupSize };
  const microBatchTokens = 'microBatchTokens' in config ? config.microBatchTokens : undefined;
  return [
    ...allShapes({ ...limits, microBatchSize: config.microBatchSize, microBatchTokens }),
    ...allShapes({ ...limits, microBatchSize: ONE_BATCH }),
  ];
}
/** Sequences that one micro-batch of a test may have. */
const ONE_BATCH = 16;

const TEMPERATURES = [1, 0.7];
const logprobPrograms = ({ models }: Layout): Programs['inference'] =>
  models.policy === undefined
    ? {}
    : Object.fromEntries(
        TEMPERATURES.map((temperature) => [
          `test log-probs ${temperature}`,
          {
            roles: ['policy'],
            inputs: sequenceInputs(),
            infer: ({ policy }, batch) => ({
              logprobs: nextTokenLogprobs(language, policy, batch, temperature),
            }),
          } satisfies InferenceProgram,
        ]),
      );

/** Sequences laid out as one micro-batch. */
export function oneBatch(
  sequences: readonly Sequence[],
  more: Readonly<Record<string, readonly ArrayLike<number>[]>> = {},
): MicroBatch {
  const { contextLength } = language;
  return sequenceBatch(sequences, shapeOf(sequences, { microBatchSize: ONE_BATCH, contextLength }), more);
}

/** Log-probs of completion tokens under a trainer's policy. */
export async function logprobsOf(
  trainer: Trainer,
  sequences: readonly Sequence[],
  temperature = 1,
): Promise<number[][]> {
  const [outputs] = await trainer.infer(`test log-probs ${temperature}`, [oneBatch(sequences)]);
  return bySequence(outputs!.logprobs!, sequences).map((row) => [...row]);
}

/** Tokens other than the end of text. */
export function tokenSource(seed: number) {
  const random = seededRandom(seed);
  const token = () => 1 + random.below(VOCABULARY - 1);
  return {
    float: () => random.float(),
    below: (bound: number) => random.below(bound),
    tokens: (length: number) => Array.from({ length }, token),
    sequence: (): Sequence => ({
      promptTokens: [0, ...Array.from({ length: random.below(4) }, token)],
      tokens: Array.from({ length: 1 + random.below(9) }, token),
    }),
  };
}

const reference = { base: { uri: 'artifact:reference', sha256: '0'.repeat(64) } };

export const demonstrationItem = (id: string, { promptTokens, tokens }: Sequence): Item => ({
  id,
  demonstration: {
    run: 'tiny',
    step: 0,
    demonstration: id,
    split: 'train',
    promptTokens: [...promptTokens],
    tokens: [...tokens],
  },
});

/** K completions of a prompt, the best first unless ranks say otherwise; log-probs under the reference are optional. */
export function comparisonItem(
  id: string,
  promptTokens: readonly number[],
  completions: readonly (readonly number[])[],
  more: { ranks?: readonly number[]; margin?: number; reference?: readonly (readonly number[])[] } = {},
): Item {
  const ranks = more.ranks ?? completions.map((_, i) => i + 1);
  const comparison: DataFor<'comparison.recorded'> = {
    run: 'tiny',
    step: 0,
    comparison: id,
    split: 'train',
    promptText: '',
    promptTokens: [...promptTokens],
    completions: completions.map((tokens) => ({ text: '', tokens: [...tokens] })),
    ranks: [...ranks],
    ...(more.margin !== undefined && { margin: more.margin }),
    labeler: 'test',
  };
  const logprobs = more.reference?.map((row) => [...row]);
  return {
    id,
    comparison,
    ...(logprobs && { reference: { run: 'tiny', step: 0, subject: id, logprobs, reference } }),
  };
}

export function thumbItem(
  id: string,
  { promptTokens, tokens }: Sequence,
  said: {
    label: boolean;
    mismatched: readonly number[];
    /** Log-probs under the reference, of the completion and of the mismatched one. */
    reference: readonly [readonly number[], readonly number[]];
  },
): Item {
  const logprobs = said.reference.map((row) => [...row]);
  return {
    id,
    thumb: {
      run: 'tiny',
      step: 0,
      thumb: id,
      split: 'train',
      promptText: '',
      promptTokens: [...promptTokens],
      text: '',
      tokens: [...tokens],
      label: said.label,
      mismatched: [...said.mismatched],
      labeler: 'test',
    },
    reference: { run: 'tiny', step: 0, subject: id, logprobs, reference },
  };
}

export function episodeItem(
  id: string,
  { promptTokens, tokens }: Sequence,
  said: {
    logprobs: readonly number[];
    reference: readonly number[];
    score: number;
    finishReason?: 'stop' | 'length';
    parts?: Record<string, number | null>;
  },
): Item {
  const stamp = { run: 'tiny', step: 0, prompt: id.slice(0, id.lastIndexOf('/')), rollout: id };
  const { logprobs, score, finishReason = 'stop', parts = { test: score } } = said;
  return {
    id,
    rollout: {
      ...stamp,
      role: 'policy',
      promptText: 'prompt',
      promptTokens: [...promptTokens],
      text: id,
      tokens: [...tokens],
      logprobs: [...logprobs],
      policyVersion: 0,
      finishReason,
      temperature: 1,
    },
    reward: { ...stamp, policyVersion: 0, score, parts },
    reference: {
      run: 'tiny',
      step: 0,
      subject: id,
      policyVersion: 0,
      logprobs: [[...said.reference]],
      reference,
    },
  };
}

/** Items of any content that a method can learn from. */
export function itemsFor(method: TrainingMethod, count: number, seed = 1): Item[] {
  const source = tokenSource(seed);
  const { data, streams } = specOf(runOf(method));
  const { kind } = data;
  // Of methods that compare the samples of a prompt, two items share one.
  const samples = Math.min(2, streams[0]!.samples ?? 1);
  let promptTokens: readonly number[] = [];
  const logprobs = (tokens: readonly number[]) => tokens.map(() => -4 + source.float());
  return Array.from({ length: count }, (_, index) => {
    const sequence = source.sequence();
    if (kind === 'demonstrations') return demonstrationItem(`tiny/0/${index}`, sequence);
    if (kind === 'prompts') {
      if (index % samples === 0) ({ promptTokens } = sequence);
      const { tokens } = sequence;
      const id = `tiny/0/${Math.floor(index / samples)}/${index % samples}`;
      return episodeItem(
        id,
        { promptTokens, tokens },
        {
          logprobs: logprobs(sequence.tokens),
          reference: logprobs(sequence.tokens),
          score: 2 * source.float() - 1,
        },
      );
    }
    if (kind === 'thumbs') {
      const mismatched = source.sequence().tokens;
      return thumbItem(`tiny/0/${index}`, sequence, {
        label: index % 2 === 0,
        mismatched,
        reference: [logprobs(sequence.tokens), logprobs(mismatched)],
      });
    }
    const completions = [sequence.tokens, source.sequence().tokens];
    return comparisonItem(`tiny/0/${index}`, sequence.promptTokens, completions, {
      margin: source.float(),
      reference: completions.map(logprobs),
    });
  });
}

/** Everything of a state that training goes on from, bit by bit. */
export async function bitsOf({ trainer }: Pick<TinyRun, 'trainer'>) {
  const { p, m, v, updates } = await trainer.state();
  const bits = (tensors: Buffers) =>
    Object.fromEntries(Object.entries(tensors).map(([name, { buffer }]) => [name, new Uint32Array(buffer)]));
  return { p: bits(p), m: bits(m), v: bits(v), updates };
}

/** All numbers of some tensors, or of those of a role. */
export const numbersOf = (tensors: Buffers, role = ''): number[] =>
  Object.entries(tensors).flatMap(([name, data]) => (name.startsWith(role) ? [...data] : []));

/** The largest distance of two vectors' entries, in parts of the largest entry. */
export function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let most = 0;
  let apart = 0;
  for (let i = 0; i < a.length; i++) {
    // Results are NaN where there is nothing to say.
    if (Object.is(a[i], b[i])) continue;
    most = Math.max(most, Math.abs(a[i]!));
    apart = Math.max(apart, Math.abs(a[i]! - b[i]!));
  }
  return most === 0 && apart === 0 ? 0 : apart / most;
}

/** The first gradient of a role, or of all, but for its length: the optimizer's first moment after one update. */
export async function directionOf({ trainer }: Pick<TinyRun, 'trainer'>, role = ''): Promise<number[]> {
  const gradient = numbersOf((await trainer.state()).m, role);
  const length = Math.hypot(...gradient);
  expect(length).toBeGreaterThan(1e-4);
  return gradient.map((x) => x / length);
}
