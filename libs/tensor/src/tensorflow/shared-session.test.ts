import * as tf from '@tensorflow/tfjs';
import { expect, it } from 'vitest';
import { float32, type Program } from '../engine.js';
import type { Binding } from './binding.js';
import { createSharedSession } from './shared-session.js';

const state = { w: float32(2) };
const times = (k: number): Program => ({
  inputs: {},
  reads: ['w'],
  run: ({ w }) => ({ outputs: { y: tf.mul(w!, k) } }),
});

/** TensorFlow for what needs none: it says what is fetched, and gives back zeros. */
function sessionOn(run: (fetches: readonly string[]) => void) {
  const binding: Binding = {
    usesGpu: false,
    open: () => ({
      run(_, fetches) {
        run(fetches);
        return fetches.map(() => new Float32Array(2));
      },
      close() {},
    }),
  };
  return createSharedSession(binding, undefined, new Set(), { precision: 'float32', xla: false });
}

it('a program that cannot be recorded is tried once, however many sessions are opened', () => {
  const part = sessionOn(() => {}).join(state);
  let tried = 0;
  const bad: Program = {
    ...times(1),
    run: () => {
      tried++;
      throw new Error('bad');
    },
  };
  for (let k = 0; k < 3; k++) {
    expect(() => part.run(part.ask(bad), {})).toThrow('bad');
    part.run(part.ask(times(k)), {});
  }
  expect(tried).toBe(1);
});

it('what a workspace leaves is forgotten, also when TensorFlow fails to free it', () => {
  let fails = false;
  const fetched: number[] = [];
  const session = sessionOn((fetches) => {
    if (fails) throw new Error('failed');
    fetched.push(fetches.length);
  });
  const [first, second] = [session.join(state), session.join(state)];
  for (const part of [first, second]) {
    part.load({ w: Float32Array.of(1, 2) });
    part.run(part.ask(times(2)), {});
  }
  fails = true;
  expect(() => first.leave()).toThrow('failed');
  fails = false;
  fetched.length = 0;
  second.run(second.ask(times(3)), {});
  // The state of the second is taken to the next session, and with it that of nobody else.
  expect(fetched).toEqual([1, 1, 1]);
  second.leave();
  expect(session.used).toBe(false);
});
