/** A tiny model, its runs, and items for every method, all functions of a seed. */
import { seededRandom } from '@rlhf-streams/data';
import type { DataFor } from '@rlhf-streams/events';
import { keyFor, parseModelConfig, uniform, withScalarHead } from '@rlhf-streams/model';
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
import type { Engine } from '@rlhf-streams/tensor';
import { nextTokenLogprobs } from './methods/forward.js';
import { methodOf } from './methods/index.js';
import { type Metrics, modelOf, type Step, type StepResult } from './methods/method.js';
import { completionPart, paddedLength, type Sequence, sequenceBatch } from './methods/rows.js';
import { type Layout, layoutOf, type Role } from './trainer/layout.js';
import { createTrainer, type Trainer, type TrainerState } from './trainer/trainer.js';

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

export function layoutFor(method: TrainingMethod): Layout {
  const { trains } = specOf(runOf(method));
  return layoutOf(
    Object.fromEntries(trains.map(({ role, head }) => [role, head === 'language' ? language : scalar])),
  );
}

/** Weights all unlike each other, those of biases, norms and heads too, so that no gradient is zero by chance. */
export function initialState(layout: Layout, seed = 0): TrainerState {
  const p = new Float32Array(layout.size);
  for (const [name, view] of Object.entries(layout.views(p))) {
    const key = keyFor(seed, name);
    const centre = /\.ln_\w+\.weight$/.test(name) ? 1 : 0;
    for (let i = 0; i < view.length; i++) view[i] = centre + 0.6 * (uniform(key, i) - 0.5);
  }
  return { p, m: new Float32Array(layout.size), v: new Float32Array(layout.size), updates: 0 };
}

/** A run under training, without files. */
export interface TinyRun {
  readonly trainer: Trainer;
  update(items: readonly Item[]): Promise<Metrics>;
  evaluate(items: readonly Item[]): Promise<Metrics>;
  readonly carry: StepResult['carry'];
}

export async function begin(
  config: RunConfig,
  engine: Engine,
  options: { lanes?: number; from?: TrainerState } = {},
): Promise<TinyRun> {
  if (!('optimizer' in config)) throw new Error('a run without an optimizer trains nothing');
  const layout = layoutFor(config.method);
  const { lanes = 1, from = initialState(layout) } = options;
  const trainer = await createTrainer({ engine, lanes, layout, optimizer: config.optimizer, from });
  const method = methodOf(config.method);
  let carry = method.start(config);
  let step = 0;
  const current = () => ({ config, step, trainer, carry }) as Step<MethodName>;
  return {
    trainer,
    get carry() {
      return carry;
    },
    async update(items) {
      const result = await method.update(current(), items);
      carry = result.carry;
      step++;
      return result.metrics;
    },
    evaluate: (items) => method.evaluate!(current(), items),
  };
}

/** Log-probs of completion tokens under a trainer's policy. */
export async function logprobsOf(
  trainer: Trainer,
  sequences: readonly Sequence[],
  temperature = 1,
): Promise<number[][]> {
  const T = paddedLength(sequences, language.contextLength);
  const batch = sequenceBatch(sequences, { rows: sequences.length, T });
  const key = `test logprobs ${temperature}`;
  const model = modelOf(trainer, 'policy');
  const [outputs] = await trainer.infer(
    {
      key,
      infer: ({ policy }, { ids }) => ({ logprobs: nextTokenLogprobs(model, policy, ids!, temperature) }),
    },
    [batch],
  );
  return sequences.map((sequence, row) => [...completionPart(outputs!.logprobs!, row, T, sequence)]);
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
  const { kind } = specOf(runOf(method)).data;
  const logprobs = (tokens: readonly number[]) => tokens.map(() => -4 + source.float());
  return Array.from({ length: count }, (_, index) => {
    const sequence = source.sequence();
    if (kind === 'demonstrations') return demonstrationItem(`tiny/0/${index}`, sequence);
    if (kind === 'prompts') {
      return episodeItem(`tiny/0/${index}/0`, sequence, {
        logprobs: logprobs(sequence.tokens),
        reference: logprobs(sequence.tokens),
        score: 2 * source.float() - 1,
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
export const bitsOf = ({
  trainer,
}: Pick<TinyRun, 'trainer'>): Record<'p' | 'm' | 'v', Uint32Array> & { updates: number } => {
  const { p, m, v, updates } = trainer.state();
  const bits = (vector: Float32Array) => new Uint32Array(Float32Array.from(vector).buffer);
  return { p: bits(p), m: bits(m), v: bits(v), updates };
};

/** The largest distance of two vectors' entries, in parts of the largest entry. */
export function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let most = 0;
  let apart = 0;
  for (let i = 0; i < a.length; i++) {
    most = Math.max(most, Math.abs(a[i]!));
    apart = Math.max(apart, Math.abs(a[i]! - b[i]!));
  }
  return most === 0 && apart === 0 ? 0 : apart / most;
}

export const partOf = (layout: Layout, vector: Float32Array, role: Role): number[] =>
  Object.entries(layout.views(vector)).flatMap(([name, view]) =>
    name.startsWith(`${role}.`) ? [...view] : [],
  );
