/** Plans of loops over the state: what they do, and how it is done in parts. */
import { type Buffers, type Specs, sizeOf } from '../engine.js';
import type { AdamWScalars, Loops, Span } from '../loops/loops.js';
import type { HostTensor } from '../workspace/host-tensor.js';

export const VECTORS = ['p', 'g', 'm', 'v'] as const;
export const SCALARS = ['lr', 'gradScale', 'biasCorrection1', 'biasCorrection2'] as const;
export const UPDATED = ['p', 'm', 'v'] as const;

/** A number that a call is given, or that is fixed. */
export type Scalar = { readonly input: string } | { readonly constant: number };

export interface AdamWStep {
  readonly tensors: { readonly [Name in (typeof VECTORS)[number]]: string };
  readonly scalars: { readonly [Name in (typeof SCALARS)[number]]: Scalar };
  readonly numbers: { readonly [Name in 'beta1' | 'beta2' | 'eps' | 'weightDecay']: number };
}

/** What a program does to tensors of the state, by name. Plain data: it is sent to threads. */
export interface HostPlan {
  readonly adamW: readonly AdamWStep[];
  readonly squares: readonly { readonly output: string; readonly tensors: readonly string[] }[];
  /** Tensors that become 0. */
  readonly zeros: readonly string[];
}

/** Sums of squares are rounded block by block: their bits follow from this number. */
const BLOCK = 2 ** 15;

export type Block = {
  readonly begin: number;
  readonly end: number;
} & ({ readonly step: number } | { readonly tensor: string; readonly output: string });

/** The work of a plan in pieces, each of which can be done by any thread. */
export function blocksOf({ adamW, squares }: HostPlan, state: Specs): Block[] {
  const cut = (name: string) => {
    const size = sizeOf(state[name]!.shape);
    return Array.from({ length: Math.ceil(size / BLOCK) }, (_, i) => ({
      begin: i * BLOCK,
      end: Math.min(size, (i + 1) * BLOCK),
    }));
  };
  return [
    ...adamW.flatMap(({ tensors }, step) => cut(tensors.p).map((range) => ({ ...range, step }))),
    ...squares.flatMap(({ output, tensors }) =>
      tensors.flatMap((tensor) => cut(tensor).map((range) => ({ ...range, tensor, output }))),
    ),
  ];
}

/** The scalars of each AdamW step of a plan, for a call. */
export const scalarsOf = ({ adamW }: HostPlan, feeds: Buffers): AdamWScalars[] =>
  adamW.map(({ scalars, numbers: { beta1, beta2, eps, weightDecay } }) => {
    const { fround } = Math;
    const number = (scalar: Scalar) => fround('input' in scalar ? feeds[scalar.input]![0]! : scalar.constant);
    const lr = number(scalars.lr);
    return {
      gradScale: number(scalars.gradScale),
      beta1: fround(beta1),
      oneMinusBeta1: fround(1 - beta1),
      beta2: fround(beta2),
      oneMinusBeta2: fround(1 - beta2),
      biasCorrection2: number(scalars.biasCorrection2),
      eps: fround(eps),
      step: fround(lr / number(scalars.biasCorrection1)),
      keep: weightDecay === 0 ? 1 : fround(1 - fround(lr * fround(weightDecay))),
    };
  });

/**
 * Does some blocks of a plan.
 * @returns a number for each: its sum of squares, where it has one
 */
export function doBlocks(
  { adamW }: HostPlan,
  blocks: readonly Block[],
  scalars: readonly AdamWScalars[],
  spans: Readonly<Record<string, Span>>,
  loops: Loops,
): number[] {
  const span = (name: string) => spans[name] as Span<Float32Array>;
  return blocks.map((block) => {
    const { begin, end } = block;
    if ('tensor' in block) return loops.squares(span(block.tensor), begin, end);
    const { p, g, m, v } = adamW[block.step]!.tensors;
    loops.adamW({ p: span(p), g: span(g), m: span(m), v: span(v) }, scalars[block.step]!, begin, end);
    return 0;
  });
}

/** The tensors that blocks work on, as {@link doBlocks} takes them; those that it writes count as changed. */
export function spansOf(
  { adamW, squares }: HostPlan,
  tensors: Readonly<Record<string, HostTensor>>,
): Record<string, Span> {
  const spans: Record<string, Span> = {};
  for (const name of squares.flatMap((step) => step.tensors)) spans[name] = tensors[name]!.read();
  for (const { p, g, m, v } of adamW.map((step) => step.tensors)) {
    spans[g] = tensors[g]!.read();
    for (const name of [p, m, v]) spans[name] = tensors[name]!.write();
  }
  return spans;
}

/** The outputs of a plan from what its blocks gave, in their order. */
export function sumsOf({ squares }: HostPlan, blocks: readonly Block[], results: readonly number[]): Buffers {
  return Object.fromEntries(
    squares.map(({ output }) => {
      let sum = 0;
      blocks.forEach((block, i) => {
        if ('output' in block && block.output === output) sum += results[i]!;
      });
      return [output, Float32Array.of(sum)];
    }),
  );
}
