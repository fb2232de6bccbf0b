/** Steps that are tried and taken back, as TRPO's line search does (Schulman et al. 2015). */
import { float32, type Program, type Specs } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import type { Layout } from './layout.js';
import { gradient, parameter } from './program.js';

const snapshotOf = (name: string): string => `snapshot.${name}`;

/** Memory of a snapshot: as much as the trained parameters. */
export const snapshotSpecs = ({ trained }: Layout): Specs =>
  Object.fromEntries(Object.entries(trained).map(([name, spec]) => [snapshotOf(name), spec]));

export const SNAPSHOT = 'snapshot';
export const RESTORE = 'restore';
export const PROPOSE = 'propose';
export const SCALE = 'scale';

/** snapshot <- p;  p <- snapshot;  p <- snapshot + scale g. */
export function lineSearchPrograms({ trained }: Layout): Record<string, Program> {
  const names = Object.keys(trained);
  const copy = (from: (name: string) => string, to: (name: string) => string): Program => ({
    inputs: {},
    reads: names.map(from),
    inPlace: names.map(to),
    run: (state) => ({
      next: Object.fromEntries(names.map((name) => [to(name), tf.clone(state[from(name)]!)])),
    }),
  });
  return {
    [SNAPSHOT]: copy(parameter, snapshotOf),
    [RESTORE]: copy(snapshotOf, parameter),
    [PROPOSE]: {
      inputs: { [SCALE]: float32() },
      reads: [...names.map(snapshotOf), ...names.map(gradient)],
      inPlace: names.map(parameter),
      run: (state, inputs) => ({
        next: Object.fromEntries(
          names.map((name) => [
            parameter(name),
            tf.add(state[snapshotOf(name)]!, tf.mul(inputs[SCALE]!, state[gradient(name)]!)),
          ]),
        ),
      }),
    },
  };
}
