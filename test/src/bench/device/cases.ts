/** What is measured on a device: each case is one number, and the first are those that matter most. */

/** Sizes of a model, as both sides make it, with random weights. */
export interface Shape {
  readonly architecture: 'gpt2' | 'llama';
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly mlpWidth: number;
  readonly vocabSize: number;
  readonly contextLength: number;
}

/** `smollm2-lora`: adapters of rank 16 on every linear map. */
export type ModelName = 'gpt2' | 'smollm2' | 'smollm2-lora';

/**
 * `tf32`: float32 whose matrix products take TF32, as TensorFlow's do by default on a GPU; `strict`: without it, as
 * PyTorch's by default; `bf16`: operands of matrix products in bfloat16.
 */
export type Precision = 'tf32' | 'bf16' | 'strict';

/** What one process computes a case with. `graph`: a decode step captured as a CUDA graph. */
export type With =
  | { readonly by: 'ours'; readonly mode: 'plain' | 'xla' }
  | { readonly by: 'torch'; readonly mode: 'eager' | 'compile' | 'graph' };

/** A step of training, or the reading of prompts, or the writing of new tokens after prompts. */
interface Work {
  readonly kind: 'train' | 'prefill' | 'decode';
  readonly model: ModelName;
  readonly rows: number;
  /** Tokens of a text or of a prompt. */
  readonly length: number;
  /** Tokens that follow each prompt. */
  readonly newTokens: number;
}

export type Case = Work &
  With & {
    /** Its words, by which it can be asked for. */
    readonly name: string;
    readonly shape: Shape;
    /** Rank of the adapter; 0: all weights are trained. */
    readonly rank: number;
    readonly precision: Precision;
    readonly device: 'cuda' | 'cpu';
    /** How long it is measured, after its first calls. */
    readonly seconds: number;
    /** How long all of it may take, with the start of its process. */
    readonly limitSeconds: number;
  };

const RANK = 16;

const gpt2: Shape = {
  architecture: 'gpt2',
  layers: 12,
  width: 768,
  heads: 12,
  kvHeads: 12,
  mlpWidth: 3072,
  vocabSize: 50257,
  contextLength: 1024,
};
const smollm2: Shape = {
  architecture: 'llama',
  layers: 30,
  width: 576,
  heads: 9,
  kvHeads: 3,
  mlpWidth: 1536,
  vocabSize: 49152,
  contextLength: 2048,
};
const SHAPES: Readonly<Record<ModelName, Shape>> = { gpt2, smollm2, 'smollm2-lora': smollm2 };

/** The same models, small enough for a processor. */
const tiny = (shape: Shape): Shape => ({
  ...shape,
  layers: 2,
  width: 48,
  heads: 3,
  kvHeads: shape.architecture === 'gpt2' ? 3 : 1,
  mlpWidth: 96,
  vocabSize: 300,
  contextLength: 64,
});

const PROMPT_TOKENS = 128;
/** With the prompt's they fill a cache of 256. */
const NEW_TOKENS = 128;

const train = (model: ModelName, rows = 8, length = 512): Work => ({
  kind: 'train',
  model,
  rows,
  length,
  newTokens: 0,
});
/** With the token that is drawn after them the prompts fill a cache of 512. */
const prefill = (model: ModelName): Work => ({ kind: 'prefill', model, rows: 8, length: 511, newTokens: 1 });
const decode = (model: ModelName, rows: number): Work => ({
  kind: 'decode',
  model,
  rows,
  length: PROMPT_TOKENS,
  newTokens: NEW_TOKENS,
});

const plain: With = { by: 'ours', mode: 'plain' };
const xla: With = { by: 'ours', mode: 'xla' };
const eager: With = { by: 'torch', mode: 'eager' };
const compile: With = { by: 'torch', mode: 'compile' };
const graph: With = { by: 'torch', mode: 'graph' };

const MAIN: readonly Precision[] = ['bf16', 'tf32'];
const FEW = [1, 32];
const MORE = [8, 128, 256];

type Plan = readonly [work: Work, how: With, precision: Precision];

/** Every work by every way, in every precision: a process takes neighbours of one way and one precision together. */
const all = (works: readonly Work[], ways: readonly With[], precisions: readonly Precision[]): Plan[] =>
  precisions.flatMap((precision) => ways.flatMap((how) => works.map((work): Plan => [work, how, precision])));
const decodes = (model: ModelName, rows: readonly number[]) => rows.map((rows) => decode(model, rows));

/** A run that is cut off has the first of these. XLA's come later: how long it compiles is not known beforehand. */
const PLAN: readonly Plan[] = [
  ...all([train('gpt2')], [plain], MAIN),
  ...all(decodes('gpt2', FEW), [plain], MAIN),
  ...all([train('gpt2')], [xla], ['bf16']),
  ...all([train('gpt2')], [compile, eager], MAIN),
  ...all(decodes('gpt2', FEW), [graph, eager], MAIN),
  ...all(decodes('gpt2', FEW), [xla], ['bf16']),
  ...all([train('gpt2')], [xla], ['tf32']),
  ...all(decodes('gpt2', FEW), [xla], ['tf32']),
  ...all(decodes('gpt2', MORE), [plain], ['bf16']),
  ...all(decodes('gpt2', MORE), [graph, eager], ['bf16']),
  ...all([train('smollm2')], [plain, xla], ['bf16']),
  ...all([train('smollm2')], [compile, eager], ['bf16']),
  ...all([prefill('gpt2')], [plain, xla], MAIN),
  ...all([prefill('gpt2')], [compile, eager], MAIN),
  ...all(decodes('smollm2', FEW), [plain, xla], ['bf16']),
  ...all(decodes('smollm2', FEW), [graph, eager], ['bf16']),
  ...all([train('smollm2-lora')], [plain, xla], ['bf16']),
  ...all([train('smollm2-lora')], [compile, eager], ['bf16']),
  ...all(decodes('gpt2', MORE), [xla], ['bf16']),
  ...all([prefill('smollm2')], [plain, xla], ['bf16']),
  ...all([prefill('smollm2')], [compile, eager], ['bf16']),
  ...all([train('gpt2', 16, 1024)], [plain, xla], ['bf16']),
  ...all([train('gpt2', 16, 1024)], [compile, eager], ['bf16']),
  ...all(decodes('gpt2', MORE), [plain, xla], ['tf32']),
  ...all(decodes('gpt2', MORE), [graph, eager], ['tf32']),
  ...all([train('smollm2'), train('smollm2-lora')], [plain, xla], ['tf32']),
  ...all([train('smollm2'), train('smollm2-lora')], [compile, eager], ['tf32']),
  ...all([prefill('smollm2')], [plain, xla], ['tf32']),
  ...all([prefill('smollm2')], [compile, eager], ['tf32']),
  ...all(decodes('smollm2', FEW), [plain, xla], ['tf32']),
  ...all(decodes('smollm2', FEW), [graph, eager], ['tf32']),
  ...all(decodes('smollm2', MORE), [plain, xla], MAIN),
  ...all(decodes('smollm2', MORE), [graph, eager], MAIN),
  ...all([train('gpt2')], [plain, xla], ['strict']),
  ...all([train('gpt2')], [compile, eager], ['strict']),
];

/** Compilation takes its time, of XLA as of PyTorch. */
const LIMIT_SECONDS = { plain: 120, xla: 150, eager: 60, compile: 150, graph: 60 };
const SECONDS = 3;

/** All of them, as a GPU computes them. */
export const onGpu: readonly Case[] = PLAN.map(([work, how, precision]) => ({
  ...work,
  ...how,
  precision,
  name: `${work.kind} ${work.model} ${work.rows}x${work.length} ${precision} ${how.by} ${how.mode}`,
  shape: SHAPES[work.model],
  rank: work.model === 'smollm2-lora' ? RANK : 0,
  device: 'cuda',
  seconds: SECONDS,
  limitSeconds: LIMIT_SECONDS[how.mode],
}));

/** The same in a size that shows on any machine that every one of them runs. */
export const tinyOnCpu: readonly Case[] = onGpu
  .filter(({ rows, precision }) => precision !== 'strict' && rows <= 8)
  .map((full) => {
    const size = { rows: Math.min(full.rows, 4), length: full.kind === 'decode' ? 8 : 31 };
    return {
      ...full,
      ...size,
      newTokens: full.kind === 'decode' ? 8 : full.newTokens,
      name: `${full.kind} ${full.model} ${size.rows}x${size.length} ${full.precision} ${full.by} ${full.mode}`,
      shape: tiny(full.shape),
      device: 'cpu',
      seconds: 0.2,
    };
  });

/**
 * Those whose names have all the words of one of the filters; all of them where there is no filter.
 *
 * @example
 * selected(onGpu, ['train gpt2 bf16', 'decode 32x128 torch']);
 */
export const selected = (cases: readonly Case[], filters: readonly string[]): Case[] =>
  cases.filter(
    ({ name }) =>
      filters.length === 0 ||
      filters.some((filter) => filter.split(/\s+/).every((word) => name.split(' ').includes(word))),
  );

/**
 * Neighbours that one process computes: settings of TensorFlow are those of a process, and PyTorch's can be changed in it.
 */
export function byProcess(cases: readonly Case[]): Case[][] {
  const keyOf = ({ by, kind, model, mode, precision }: Case) =>
    JSON.stringify(by === 'ours' ? [by, kind === 'train', model, mode, precision] : [by, kind, model]);
  const groups: Case[][] = [];
  for (const one of cases) {
    const last = groups.at(-1);
    if (last && keyOf(last[0]!) === keyOf(one)) last.push(one);
    else groups.push([one]);
  }
  return groups;
}
