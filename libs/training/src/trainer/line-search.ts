/** Steps along a direction that are tried and taken back, as TRPO's line search does (Schulman et al. 2015). */
import type { TrainedModel } from '@rlhf-streams/runs';
import { float32, type Program, type Specs, sizeOf, type Workspace } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import type { Layout } from './layout.js';
import { direction, gradient, parameter, snapshot } from './program.js';

/** What is trained of the models that a method steps by line search, in the order of a checkpoint. */
export const lineSearchTensors = (layout: Layout, trains: readonly TrainedModel[]): string[] =>
  trains
    .filter(({ movedBy }) => movedBy === 'line search')
    .flatMap(({ role }) => [...layout.namesOf(role).values()])
    .filter((name) => layout.trained[name]);

/** Memory of a snapshot and of a direction: each as much as the parameters. */
export const lineSearchSpecs = (layout: Layout, tensors: readonly string[]): Specs =>
  Object.fromEntries(
    tensors.flatMap((name) => [
      [snapshot(name), layout.trained[name]!],
      [direction(name), layout.trained[name]!],
    ]),
  );

const SNAPSHOT = 'snapshot';
const RESTORE = 'restore';
const PROPOSE = 'propose';
const FORGET = 'forget';
const SCALE = 'scale';

/** snapshot <- p;  p <- snapshot;  p <- snapshot + scale direction;  g <- 0. */
export function lineSearchPrograms(names: readonly string[]): Record<string, Program> {
  const copy = (from: (name: string) => string, to: (name: string) => string): Program => ({
    inputs: {},
    reads: names.map(from),
    inPlace: names.map(to),
    run: (state) => ({
      next: Object.fromEntries(names.map((name) => [to(name), tf.clone(state[from(name)]!)])),
    }),
  });
  return {
    [SNAPSHOT]: copy(parameter, snapshot),
    [RESTORE]: copy(snapshot, parameter),
    [PROPOSE]: {
      inputs: { [SCALE]: float32() },
      reads: [...names.map(snapshot), ...names.map(direction)],
      inPlace: names.map(parameter),
      run: (state, inputs) => ({
        next: Object.fromEntries(
          names.map((name) => [
            parameter(name),
            tf.add(state[snapshot(name)]!, tf.mul(inputs[SCALE]!, state[direction(name)]!)),
          ]),
        ),
      }),
    },
    [FORGET]: {
      inputs: {},
      reads: names.map(gradient),
      inPlace: names.map(gradient),
      run: (state) => ({
        next: Object.fromEntries(names.map((name) => [gradient(name), tf.zerosLike(state[gradient(name)]!)])),
      }),
    },
  };
}

/** Moves the tensors of a line search. A vector holds the numbers of all of them, tensor by tensor. */
export interface LineSearchMoves {
  /** Sets the direction. */
  direct(vector: Float32Array): Promise<void>;
  /** What was accumulated for these tensors, which is 0 afterwards. */
  takeGradient(): Promise<Float32Array>;
  /** Remembers the parameters. */
  snapshot(): Promise<void>;
  /** Sets the parameters to the snapshot plus `scale` times the direction. */
  propose(scale: number): Promise<void>;
  /** Sets the parameters to the snapshot, to the bit. */
  restore(): Promise<void>;
}

export function lineSearchMoves(
  workspace: Workspace,
  layout: Layout,
  names: readonly string[],
): LineSearchMoves {
  const sizes = names.map((name) => sizeOf(layout.trained[name]!.shape));
  const length = sizes.reduce((sum, size) => sum + size, 0);
  /** The part of a vector that each tensor has. */
  const parts = (vector: Float32Array, as: (name: string) => string) => {
    let at = 0;
    return Object.fromEntries(
      names.map((name, i) => {
        at += sizes[i]!;
        return [as(name), vector.subarray(at - sizes[i]!, at)] as const;
      }),
    );
  };
  const run = async (program: string, feeds = {}): Promise<void> => {
    await workspace.run(program, feeds);
  };
  return {
    direct: (vector) => workspace.load(parts(vector, direction)),
    async takeGradient() {
      const vector = new Float32Array(length);
      await workspace.read(names.map(gradient), parts(vector, gradient));
      await run(FORGET);
      return vector;
    },
    snapshot: () => run(SNAPSHOT),
    propose: (scale) => run(PROPOSE, { [SCALE]: Float32Array.of(scale) }),
    restore: () => run(RESTORE),
  };
}
