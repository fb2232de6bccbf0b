import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { float32, int32, type Program, type Workspace } from '../engine.js';
import { floats, type Harness, ints, numbersOf, type Programs } from './harness.js';

const state = { a: float32(2), b: float32(2), c: float32(3, 1) };
type State = { a: number[]; b: number[]; c: number[] };

const x = { x: float32(2) };
const program = (reads: string[], run: Program['run'], inputs: Program['inputs'] = x): Program => ({
  inputs,
  reads,
  run,
});

const programs: Programs = {
  add: program(['b'], ({ b }, { x }) => ({
    outputs: { y: tf.add(b!, x!) },
    added: { a: tf.add(tf.mul(tf.sub(b!, b!), 2), x!) },
  })),
  addReading: program(['a'], ({ a }, { x }) => ({
    outputs: { y: a! },
    added: { b: tf.add(tf.clipByValue(a!, -7, 7), x!) },
  })),
  swap: program(['a', 'b'], ({ a, b }) => ({ outputs: { y: tf.sub(a!, b!) }, next: { a: b!, b: a! } }), {}),
  zero: program([], () => ({ next: { a: tf.zeros([2]) } }), {}),
  store: program(
    ['b', 'c'],
    ({ b, c }, { x, at }) => ({
      outputs: { y: tf.add(tf.reshape(tf.slice(c!, [0, 0], [2, 1]), [2]), x!) },
      rows: {
        c: {
          indices: tf.reshape(at!, [1, 1]),
          updates: tf.reshape(tf.sum(tf.clipByValue(b!, -5, 5)), [1, 1]),
        },
      },
    }),
    { ...x, at: int32(1) },
  ),
};

interface Action {
  readonly name: string;
  readonly x: readonly [number, number];
  readonly at: number;
}

const clip = (value: number, by: number) => Math.max(-by, Math.min(by, value));

/** What the state is after an action, and what the action gives. */
function expected(s: State, { name, x, at }: Action): number[] {
  const before = { a: [...s.a], b: [...s.b], c: [...s.c] };
  const each = (f: (i: number) => number) => [f(0), f(1)];
  switch (name) {
    case 'add':
      s.a = each((i) => before.a[i]! + x[i]!);
      return each((i) => before.b[i]! + x[i]!);
    case 'addReading':
      s.b = each((i) => before.b[i]! + clip(before.a[i]!, 7) + x[i]!);
      return before.a;
    case 'swap':
      [s.a, s.b] = [before.b, before.a];
      return each((i) => before.a[i]! - before.b[i]!);
    case 'zero':
      s.a = [0, 0];
      return [];
    case 'store':
      s.c[at] = clip(before.b[0]!, 5) + clip(before.b[1]!, 5);
      return each((i) => before.c[i]! + x[i]!);
    case 'load':
      s.b = [...x];
      return [];
    default:
      return [...before.a, ...before.b, ...before.c];
  }
}

async function act(space: Workspace, { name, x, at }: Action): Promise<number[]> {
  if (name === 'load') {
    await space.load({ b: floats(...x) });
    return [];
  }
  if (name === 'read') {
    const { a, b, c } = numbersOf(await space.read(['a', 'b', 'c']));
    return [...a!, ...b!, ...c!];
  }
  const inputs = programs[name]!.inputs;
  const { y } = await space.run(name, {
    ...(inputs.x && { x: floats(...x) }),
    ...(inputs.at && { at: ints(at) }),
  });
  return [...(y ?? [])];
}

export function orderTests(harness: Harness): void {
  describe('calls under way together', () => {
    it('each see the effects of all that were made before, and of no other', () =>
      harness.within({ state, programs }, async (space) => {
        const number = fc.integer({ min: -9, max: 9 });
        const action: fc.Arbitrary<Action> = fc.record({
          name: fc.constantFrom(...Object.keys(programs), 'add', 'addReading', 'load', 'read'),
          x: fc.tuple(number, number),
          at: fc.nat(2),
        });
        await fc.assert(
          fc.asyncProperty(fc.array(action, { minLength: 1, maxLength: 14 }), async (actions) => {
            const model: State = { a: [1, 2], b: [3, 4], c: [5, 6, 7] };
            await space.load({ a: floats(1, 2), b: floats(3, 4), c: floats(5, 6, 7) });
            const results = await Promise.all(actions.map((each) => act(space, each)));
            expect(results).toEqual(actions.map((each) => expected(model, each)));
            expect(numbersOf(await space.read(['a', 'b', 'c']))).toEqual(model);
          }),
          { numRuns: 40 },
        );
      }));

    it('belong to workspaces that know nothing of each other', async () => {
      const spaces = await Promise.all([1, 2, 3].map(() => harness.engine.open(state)));
      for (const space of spaces) await space.add(programs);
      const runs = Array.from({ length: 4 }, () =>
        spaces.map((space, k) => space.run('add', { x: floats(k, 1) })),
      );
      await Promise.all(runs.flat());
      for (const [k, space] of spaces.entries()) {
        expect([...(await space.read(['a'])).a!]).toEqual([4 * k, 4]);
        await space.dispose();
      }
    });
  });
}
