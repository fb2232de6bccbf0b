import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { float32, int32, type Program } from '../engine.js';
import { updatedRows } from '../kernels/updated-rows.js';
import { floats, type Harness, ints, numbersOf, read } from './harness.js';

const pair = float32(2);
const program = (reads: string[], run: Program['run'], inputs: Program['inputs'] = {}): Program => ({
  inputs,
  reads,
  run,
});

export function effectTests(harness: Harness): void {
  describe('outputs', () => {
    it('are what the program computes of state and feeds, float32 or int32', () =>
      harness.within(
        {
          state: { w: pair, n: int32(2) },
          programs: {
            both: program(
              ['w', 'n'],
              ({ w, n }, { x }) => ({
                outputs: { product: tf.mul(w!, x!), next: tf.add(n!, tf.scalar(1, 'int32')), same: x! },
              }),
              { x: pair },
            ),
          },
        },
        async (space) => {
          await space.load({ w: floats(2, 3), n: ints(7, -8) });
          const outputs = await space.run('both', { x: floats(5, 0.5) });
          expect(outputs.next).toBeInstanceOf(Int32Array);
          expect(numbersOf(outputs)).toEqual({ product: [10, 1.5], next: [8, -7], same: [5, 0.5] });
        },
      ));

    it('may be the state, constants, and one value under two names', () =>
      harness.within(
        {
          state: { w: pair },
          programs: {
            all: program(['w'], ({ w }) => {
              const double = tf.mul(w!, 2);
              return {
                outputs: { w: w!, one: tf.scalar(1), double, again: double, more: tf.add(double, 1) },
              };
            }),
          },
        },
        async (space) => {
          await space.load({ w: floats(2, 3) });
          expect(numbersOf(await space.run('all', {}))).toEqual({
            w: [2, 3],
            one: [1],
            double: [4, 6],
            again: [4, 6],
            more: [5, 7],
          });
        },
      ));

    it('come in buffers of their own', () =>
      harness.within(
        { state: { w: pair }, programs: { show: program(['w'], ({ w }) => ({ outputs: { w: w! } })) } },
        async (space) => {
          await space.load({ w: floats(1, 2) });
          const first = await space.run('show', {});
          const second = await space.run('show', {});
          first.w!.fill(9);
          await space.load({ w: floats(3, 4) });
          expect([...second.w!]).toEqual([1, 2]);
          expect(await read(space, 'w')).toEqual({ w: [3, 4] });
        },
      ));

    it('and inputs may have any names, also those that a graph might give its values', () => {
      const names = ['c0', 'c1', 't0', 't3', 'i0', 'o0', 'o1', 'x', 'x.y', 'a/b:0', 'state.x', 'next.x'];
      return harness.within(
        {
          state: Object.fromEntries(names.map((name) => [name, float32(1)])),
          programs: {
            all: program(
              names,
              (state, inputs) => ({
                outputs: Object.fromEntries(
                  names.map((name, i) => [name, tf.add(tf.mul(tf.add(state[name]!, inputs[name]!), 2), i)]),
                ),
              }),
              Object.fromEntries(names.map((name) => [name, float32(1)])),
            ),
          },
        },
        async (space) => {
          await space.load(Object.fromEntries(names.map((name, i) => [name, floats(100 * i)])));
          const feeds = Object.fromEntries(names.map((name, i) => [name, floats(i)]));
          const outputs = numbersOf(await space.run('all', feeds));
          expect(outputs).toEqual(Object.fromEntries(names.map((name, i) => [name, [203 * i]])));
        },
      );
    });
  });

  describe('next', () => {
    it('replaces tensors by what was computed of all of them as they were', () =>
      harness.within(
        {
          state: { a: pair, b: pair, c: pair },
          programs: {
            turn: program(['a', 'b'], ({ a, b }) => ({ next: { a: b!, b: a!, c: tf.add(a!, b!) } })),
            same: program(['a'], ({ a }) => ({ next: { b: a!, c: a! } })),
          },
        },
        async (space) => {
          await space.load({ a: floats(1, 2), b: floats(10, 20) });
          await space.run('turn', {});
          expect(await read(space, 'a', 'b', 'c')).toEqual({ a: [10, 20], b: [1, 2], c: [11, 22] });
          await space.run('same', {});
          await space.load({ a: floats(0, 0) });
          expect(await read(space, 'a', 'b', 'c')).toEqual({ a: [0, 0], b: [10, 20], c: [10, 20] });
        },
      ));

    it('may be 0, constants and feeds, for tensors that are not read', () =>
      harness.within(
        {
          state: { a: pair, n: int32(2), z: pair },
          programs: {
            set: program(
              [],
              (_, { x }) => ({ next: { a: x!, n: tf.tensor1d([3, 4], 'int32'), z: tf.zeros([2]) } }),
              {
                x: pair,
              },
            ),
          },
        },
        async (space) => {
          await space.load({ z: floats(5, 5) });
          await space.run('set', { x: floats(1, 2) });
          expect(await read(space, 'a', 'n', 'z')).toEqual({ a: [1, 2], n: [3, 4], z: [0, 0] });
        },
      ));

    it('may be written in place where that was allowed', () =>
      harness.within(
        {
          state: { a: pair, b: pair },
          programs: {
            grow: { ...program(['a', 'b'], ({ a, b }) => ({ next: { a: tf.add(a!, b!) } })), inPlace: ['a'] },
          },
        },
        async (space) => {
          await space.load({ a: floats(1, 2), b: floats(3, 5) });
          await Promise.all([space.run('grow', {}), space.run('grow', {})]);
          expect(await read(space, 'a', 'b')).toEqual({ a: [7, 12], b: [3, 5] });
        },
      ));
  });

  describe('added', () => {
    const accumulate = program([], (_, { x }) => ({ added: { sum: x! } }), { x: pair });

    it('is added in the order of the calls, computed side by side or not', () =>
      harness.within({ state: { sum: pair }, programs: { accumulate } }, async (space) => {
        // In float32 these sums depend on their order.
        const terms = Array.from({ length: 24 }, (_, i) =>
          floats((i % 3) - 1 === 0 ? 1 : ((i % 3) - 1) * 1e8, 1 / (i + 3)),
        );
        await Promise.all(terms.map((x) => space.run('accumulate', { x })));
        const expected = floats(0, 0);
        for (const x of terms) for (const i of [0, 1]) expected[i]! += x[i]!;
        const { sum } = await space.read(['sum']);
        if (harness.engine.fidelity === 'bits') expect([...sum!]).toEqual([...expected]);
        else expect(Math.abs(sum![1]! / expected[1]! - 1)).toBeLessThan(harness.tolerance);
      }));

    it('begins anew after the tensor was set to 0', () =>
      harness.within(
        {
          state: { sum: float32(7), other: float32(7), count: int32(3) },
          programs: {
            add: program([], (_, { x }) => ({ added: { sum: x!, count: tf.tensor1d([1, 2, 3], 'int32') } }), {
              x: float32(7),
            }),
            reset: program(['sum'], ({ sum }) => ({
              next: { sum: tf.zerosLike(sum!), other: tf.zeros([7]), count: tf.zeros([3], 'int32') },
            })),
            show: program(['sum', 'other'], ({ sum, other }) => ({ outputs: { sum: tf.add(sum!, other!) } })),
          },
        },
        async (space) => {
          const x = floats(1, 2, 3, 4, 5, 6, 7);
          await space.load({ other: x });
          await space.run('add', { x });
          await space.run('reset', {});
          expect(numbersOf(await space.run('show', {}))).toEqual({ sum: [0, 0, 0, 0, 0, 0, 0] });
          await space.run('reset', {});
          await space.run('add', { x });
          await space.run('add', { x });
          expect(await read(space, 'sum', 'other', 'count')).toEqual({
            sum: [2, 4, 6, 8, 10, 12, 14],
            other: [0, 0, 0, 0, 0, 0, 0],
            count: [2, 4, 6],
          });
        },
      ));
  });

  describe('rows', () => {
    const cache = float32(2, 3, 2);
    const store = (depth: number, rows: number): Program =>
      program(
        ['cache'],
        ({ cache }, { at, updates }) => ({
          outputs: { before: tf.sum(cache!) },
          rows: { cache: { indices: at!, updates: updates! } },
        }),
        { at: int32(rows, depth), updates: float32(rows, ...cache.shape.slice(depth)) },
      );

    it('are written where they point to, and nothing else is', () =>
      harness.within(
        { state: { cache }, programs: { one: store(1, 1), two: store(2, 3), three: store(3, 2) } },
        async (space) => {
          await space.load({ cache: floats(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12) });
          const one = await space.run('one', { at: ints(1), updates: floats(0, 0, 0, 0, 0, 0) });
          expect([...one.before!]).toEqual([78]);
          const two = await space.run('two', {
            at: ints(0, 2, 1, 0, 0, 0),
            updates: floats(50, 60, 70, 80, 10, 20),
          });
          expect([...two.before!]).toEqual([21]);
          await space.run('three', { at: ints(1, 2, 1, 0, 1, 0), updates: floats(99, 33) });
          expect(await read(space, 'cache')).toEqual({ cache: [10, 20, 33, 4, 50, 60, 70, 80, 0, 0, 0, 99] });
        },
      ));

    it('may be computed of the tensor that they go to', () =>
      harness.within(
        {
          state: { cache: int32(3, 2) },
          programs: {
            shift: program(['cache'], ({ cache }) => ({
              rows: {
                cache: {
                  indices: tf.tensor2d([[1], [2]], [2, 1], 'int32'),
                  updates: tf.slice(cache!, [0, 0], [2, 2]),
                },
              },
            })),
          },
        },
        async (space) => {
          await space.load({ cache: ints(1, 2, 3, 4, 5, 6) });
          await space.run('shift', {});
          expect(await read(space, 'cache')).toEqual({ cache: [1, 2, 1, 2, 3, 4] });
        },
      ));
  });

  describe('rows that a program goes on with', () => {
    const [rows, cache] = [2, float32(3, 2, 2)];
    const store = (depth: number) =>
      program(
        ['cache'],
        ({ cache }, { at, more }) => {
          const shape = [rows, ...cache!.shape.slice(depth)];
          // The updates may be computed of the tensor itself.
          const updates = tf.add(tf.gatherND(cache!, at!), tf.reshape(more!, shape));
          const { updated } = updatedRows({ tensor: cache!, indices: at!, updates }, {});
          return {
            outputs: { sum: tf.sum(updated), first: tf.slice(updated, 0, 1) },
            next: { cache: updated },
          };
        },
        { at: int32(rows, depth), more: float32(rows * 2 ** (3 - depth)) },
      );

    it('are in the tensor for the rest of the program, and for the next one', () =>
      harness.within({ state: { cache }, programs: { one: store(1), three: store(3) } }, async (space) => {
        await space.load({ cache: floats(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12) });
        const three = { at: ints(2, 1, 0, 0, 0, 1), more: floats(100, 20) };
        expect(numbersOf(await space.run('three', three))).toEqual({ sum: [198], first: [1, 22, 3, 4] });
        const again = { at: ints(0, 0, 0, 2, 0, 0), more: floats(1, -9) };
        expect(numbersOf(await space.run('three', again))).toEqual({ sum: [190], first: [2, 22, 3, 4] });
        const one = { at: ints(1, 0), more: floats(0, 0, 0, 1, -2, -22, -3, -4) };
        expect(numbersOf(await space.run('one', one))).toEqual({ sum: [160], first: [0, 0, 0, 0] });
        expect(await read(space, 'cache')).toEqual({ cache: [0, 0, 0, 0, 5, 6, 7, 9, 0, 10, 111, 12] });
      }));
  });

  describe('a program whose effects the state cannot have', () => {
    const state = { a: pair, n: int32(2), f: pair };
    const frozen = { hash: 'no effects', values: { f: floats(1, 1) } };
    const x = () => tf.ones([2]);
    const at = () => tf.tensor2d([[0]], [1, 1], 'int32');
    const bad: Record<string, Program['run']> = {
      'another shape': () => ({ next: { a: tf.ones([3]) } }),
      'another type': () => ({ added: { n: x() } }),
      'an unknown tensor': () => ({ next: { b: x() } }),
      'two effects on one tensor': () => ({ next: { a: x() }, added: { a: x() } }),
      'a frozen tensor': () => ({ next: { f: x() } }),
      'rows of another shape': () => ({ rows: { a: { indices: at(), updates: tf.ones([1, 2]) } } }),
      'rows at places that are no int32': () => ({
        rows: { a: { indices: tf.ones([1, 1]), updates: tf.ones([1]) } },
      }),
    };
    it.each(Object.entries(bad))('is refused when it is added, or first run: %s', (_, run) =>
      harness.within({ state, frozen }, async (space) => {
        const added = space.add({ bad: program([], run) });
        await expect(added.then(() => space.run('bad', {}))).rejects.toMatchObject({
          code: 'TENSOR_BAD_OUTPUT',
        });
      }),
    );
  });
}
