/** The optimizer: AdamW (Loshchilov and Hutter 2019) on gradients clipped by their norm, all of them state of the engine. */
import { adamw, biasCorrections, gradientClipCoefficient } from '@rlhf-streams/alignment';
import type { OptimizerConfig } from '@rlhf-streams/runs';
import {
  adamWKernel,
  float32,
  type Program,
  type Specs,
  sumOfSquares,
  type Tensors,
  type Workspace,
} from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import type { Layout } from './layout.js';
import { gradient, parameter } from './program.js';

/** Trained tensors that one optimizer updates, clipped by one norm. */
export interface ParameterGroup {
  readonly tensors: readonly string[];
  readonly optimizer: OptimizerConfig;
}

/** All that is trained, but for what a line search moves, under one optimizer. */
export const oneGroup = (
  layout: Layout,
  optimizer: OptimizerConfig,
  { lineSearch = [] }: { readonly lineSearch?: readonly string[] } = {},
): ParameterGroup[] => [
  { tensors: Object.keys(layout.trained).filter((name) => !lineSearch.includes(name)), optimizer },
];

/** Names of tensors of the state: the moments of a parameter's gradient. */
export const firstMoment = (name: string): string => `m.${name}`;
export const secondMoment = (name: string): string => `v.${name}`;

export const momentSpecs = (layout: Layout, groups: readonly ParameterGroup[]): Specs =>
  Object.fromEntries(
    groups
      .flatMap(({ tensors }) => tensors)
      .flatMap((name) => {
        const spec = layout.trained[name]!;
        return [
          [firstMoment(name), spec],
          [secondMoment(name), spec],
        ] as const;
      }),
  );

export const optimizerPrograms = (
  layout: Layout,
  groups: readonly ParameterGroup[],
): Record<string, Program> => ({
  [CLEAR]: clearProgram(layout),
  ...Object.fromEntries(
    groups.flatMap((group, i) => [
      [normOf(i), normProgram(group)],
      [updateOf(i), updateProgram(layout, group)],
    ]),
  ),
});

/**
 * Updates the tensors of each group by its gradient, which is 0 afterwards.
 * @param options.updates number of updates, this one included: t in AdamW's bias corrections
 * @param options.learningRates one for each group
 * @returns the norm of the whole gradient before clipping
 * @throws AlignmentError ALIGNMENT_NOT_FINITE when the gradient is: parameters and moments stay as they are
 */
export async function applyGradient(
  workspace: Workspace,
  groups: readonly ParameterGroup[],
  { updates, learningRates }: { readonly updates: number; readonly learningRates: readonly number[] },
): Promise<number> {
  const norms = await Promise.all(
    groups.map(async (_, i) => Math.sqrt((await workspace.run(normOf(i), {})).squares![0]!)),
  );
  const scales = norms.map((norm, i) => gradientClipCoefficient(norm, groups[i]!.optimizer.maxGradNorm));
  await Promise.all(
    groups.map(({ optimizer }, i) => {
      const { biasCorrection1, biasCorrection2 } = biasCorrections(updates, optimizer);
      const scalars = [learningRates[i]!, scales[i]!, biasCorrection1, biasCorrection2];
      return workspace.run(
        updateOf(i),
        Object.fromEntries(SCALARS.map((name, k) => [name, Float32Array.of(scalars[k]!)])),
      );
    }),
  );
  return Math.hypot(...norms);
}

/** Sets the gradient to 0. */
export const clearGradient = async (workspace: Workspace): Promise<void> => {
  await workspace.run(CLEAR, {});
};

const CLEAR = 'clear gradient';
const normOf = (group: number) => `norm ${group}`;
const updateOf = (group: number) => `AdamW ${group}`;

const SCALARS = ['learningRate', 'gradScale', 'biasCorrection1', 'biasCorrection2'] as const;

const normProgram = ({ tensors }: ParameterGroup): Program => ({
  inputs: {},
  reads: tensors.map(gradient),
  run: (state) => ({
    outputs: { squares: sumOfSquares(tensors.map((name) => state[gradient(name)]!)) },
  }),
});

const adamW = adamWKernel(adamw);

function updateProgram(layout: Layout, { tensors, optimizer }: ParameterGroup): Program {
  const { beta1, beta2, eps, weightDecay } = optimizer;
  const written = tensors.flatMap((name) => [parameter(name), firstMoment(name), secondMoment(name)]);
  return {
    inputs: Object.fromEntries(SCALARS.map((name) => [name, float32()])),
    reads: [...written, ...tensors.map(gradient)],
    inPlace: [...written, ...tensors.map(gradient)],
    run(state, inputs) {
      const scalar = (name: (typeof SCALARS)[number]) => inputs[name] as tf.Scalar;
      const updated = tensors.map((name): Tensors => {
        const g = state[gradient(name)]!;
        const { p, m, v } = adamW(
          { p: state[parameter(name)]!, g, m: state[firstMoment(name)]!, v: state[secondMoment(name)]! },
          {
            lr: scalar('learningRate'),
            beta1,
            beta2,
            eps,
            weightDecay: layout.tensors.get(name)!.decay ? weightDecay : 0,
            biasCorrection1: scalar('biasCorrection1'),
            biasCorrection2: scalar('biasCorrection2'),
            gradScale: scalar('gradScale'),
          },
        );
        return {
          [parameter(name)]: p,
          [firstMoment(name)]: m,
          [secondMoment(name)]: v,
          [gradient(name)]: tf.zerosLike(g),
        };
      });
      return { next: Object.assign({}, ...updated) };
    },
  };
}

const clearProgram = ({ trained }: Layout): Program => {
  const names = Object.keys(trained).map(gradient);
  return {
    inputs: {},
    reads: names,
    inPlace: names,
    run: (state) => ({ next: Object.fromEntries(names.map((name) => [name, tf.zerosLike(state[name]!)])) }),
  };
};
