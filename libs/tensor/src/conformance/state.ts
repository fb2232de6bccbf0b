import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allocate, type Buffers, float32, int32, type Program } from '../engine.js';
import { floats, type Harness, ints, numbersOf, read, wave } from './harness.js';

const pair = float32(2);
const scaled: Program = {
  inputs: { x: pair },
  reads: ['w'],
  run: ({ w }, { x }) => ({ outputs: { y: tf.mul(w!, x!) } }),
};
const accumulate: Program = {
  inputs: { x: pair },
  reads: ['w'],
  run: ({ w }, { x }) => ({ outputs: { y: tf.mul(w!, x!) }, added: { sum: tf.mul(w!, x!) } }),
};

export function stateTests(harness: Harness): void {
  describe('load and read', () => {
    it('give back every number as it was', () =>
      harness.within({ state: { a: float32(3, 5), n: int32(4), s: float32() } }, async (space) => {
        const number = fc.float({ noNaN: true });
        const vector = (length: number) => fc.array(number, { minLength: length, maxLength: length });
        await fc.assert(
          fc.asyncProperty(
            vector(15),
            fc.array(fc.integer(), { minLength: 4, maxLength: 4 }),
            number,
            async (a, n, s) => {
              const values: Buffers = { a: floats(...a), n: ints(...n), s: floats(s) };
              await space.load(values);
              expect(numbersOf(await space.read(['s', 'n', 'a']))).toEqual(numbersOf(values));
            },
          ),
          { numRuns: 20 },
        );
      }));

    it('copy', () =>
      harness.within({ state: { a: pair, b: pair } }, async (space) => {
        const given = floats(1, 2);
        await space.load({ a: given, b: given });
        given.fill(7);
        const { a } = await space.read(['a']);
        a!.fill(8);
        expect(await read(space, 'a', 'b')).toEqual({ a: [1, 2], b: [1, 2] });
      }));

    it('take and fill shared memory as well as private, also parts of a buffer', () =>
      harness.within({ state: { a: pair } }, async (space) => {
        for (const shared of [true, false]) {
          const buffer = allocate(float32(4), { shared }) as Float32Array;
          buffer.set([0, 3, 4, 0]);
          const part = buffer.subarray(1, 3);
          await space.load({ a: part });
          part.fill(0);
          const { a } = await space.read(['a'], { a: part });
          expect(a).toBe(part);
          expect([...buffer]).toEqual([0, 3, 4, 0]);
        }
      }));

    it('leave what is not named: it is as it was, and 0 at first', () =>
      harness.within({ state: { a: pair, n: int32(2) } }, async (space) => {
        expect(await read(space, 'a', 'n')).toEqual({ a: [0, 0], n: [0, 0] });
        await space.load({ n: ints(1, 2) });
        await space.load({ a: floats(3, 4) });
        expect(await read(space, 'a', 'n')).toEqual({ a: [3, 4], n: [1, 2] });
      }));
  });

  describe('frozen tensors', () => {
    const state = { w: pair, sum: pair };

    it('are read by all workspaces that have them, each with a state of its own', async () => {
      const frozen = { hash: 'two and three', values: { w: floats(2, 3) } };
      const spaces = [
        await harness.engine.open(state, { frozen }),
        await harness.engine.open(state, { frozen }),
      ];
      const [first, second] = spaces;
      for (const space of spaces) await space.add({ accumulate });
      await first!.run('accumulate', { x: floats(1, 1) });
      expect(numbersOf(await second!.run('accumulate', { x: floats(10, 10) }))).toEqual({ y: [20, 30] });
      expect(await read(first!, 'sum', 'w')).toEqual({ sum: [2, 3], w: [2, 3] });
      await first!.dispose();
      expect(numbersOf(await second!.run('accumulate', { x: floats(1, 1) }))).toEqual({ y: [2, 3] });
      await second!.dispose();
    });

    it('may be some of those that another workspace has by the same hash', async () => {
      const state = { w: pair, sum: pair };
      const all = { w: floats(2, 3), sum: floats(7, 8) };
      const some = await harness.engine.open(state, { frozen: { hash: 'a part', values: { w: all.w } } });
      await some.load({ sum: floats(1, 1) });
      expect(await read(some, 'sum', 'w')).toEqual({ sum: [1, 1], w: [2, 3] });
      await harness.within(
        { state, frozen: { hash: 'a part', values: all }, programs: { scaled } },
        async (space) => {
          await space.run('scaled', { x: floats(1, 1) });
          expect(await read(space, 'sum', 'w')).toEqual({ sum: [7, 8], w: [2, 3] });
          await some.load({ sum: floats(5, 5) });
          expect(await read(space, 'sum')).toEqual({ sum: [7, 8] });
        },
      );
      await some.dispose();
    });

    it('of another hash are others', async () => {
      for (const k of [1, 2])
        await harness.within(
          { state, frozen: { hash: `all ${k}`, values: { w: floats(k, k) } }, programs: { scaled } },
          async (space) =>
            expect(numbersOf(await space.run('scaled', { x: floats(1, 2) }))).toEqual({ y: [k, 2 * k] }),
        );
    });

    it('may lie in a file', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'rlhf-streams-stored-'));
      const file = join(folder, 'tensors');
      try {
        await writeFile(file, new Uint8Array(floats(9, 2, 3, 9, 9).buffer));
        const frozen = { hash: 'in a file', stored: { file, offsets: { w: 4 } } };
        await harness.within({ state, frozen, programs: { scaled } }, async (space) => {
          expect(numbersOf(await space.run('scaled', { x: floats(1, 2) }))).toEqual({ y: [2, 6] });
          expect(await read(space, 'w')).toEqual({ w: [2, 3] });
          await expect(space.load({ w: floats(1, 1) })).rejects.toMatchObject({ code: 'TENSOR_BAD_INPUT' });
        });
        const tooFar = { hash: 'too far', stored: { file, offsets: { w: 16 } } };
        const opened = harness.within({ state, frozen: tooFar, programs: { scaled } }, (space) =>
          space.run('scaled', { x: floats(1, 2) }),
        );
        await expect(opened).rejects.toMatchObject({ code: 'TENSOR_BAD_INPUT' });
      } finally {
        await rm(folder, { recursive: true });
      }
    });

    it('are read into new buffers, before a program runs and after', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'rlhf-streams-stored-'));
      const file = join(folder, 'tensors');
      const given = floats(9, 2, 3, 9).subarray(1, 3);
      try {
        await writeFile(file, new Uint8Array(given.slice().buffer));
        for (const frozen of [
          { hash: 'copied', values: { w: given } },
          { hash: 'copied from a file', stored: { file, offsets: { w: 0 } } },
        ])
          await harness.within({ state, frozen, programs: { scaled } }, async (space) => {
            for (let time = 0; time < 2; time++) {
              const { w } = await space.read(['w']);
              expect([w!.buffer.byteLength, ...w!]).toEqual([8, 2, 3]);
              w!.fill(7);
              expect(numbersOf(await space.run('scaled', { x: floats(1, 2) }))).toEqual({ y: [2, 6] });
            }
          });
        expect([...given]).toEqual([2, 3]);
      } finally {
        await rm(folder, { recursive: true });
      }
    });

    it('are never loaded', () =>
      harness.within({ state, frozen: { hash: 'never', values: { w: floats(2, 3) } } }, async (space) => {
        await expect(space.load({ w: floats(1, 1) })).rejects.toMatchObject({ code: 'TENSOR_BAD_INPUT' });
        expect(await read(space, 'w')).toEqual({ w: [2, 3] });
      }));

    it('that do not fit the state are refused', async () => {
      for (const values of [{ w: floats(1) }, { other: floats(1, 2) }] as Buffers[])
        await expect(harness.engine.open(state, { frozen: { hash: 'bad', values } })).rejects.toMatchObject({
          code: 'TENSOR_BAD_INPUT',
        });
    });
  });

  describe('constants of a program', () => {
    const [rows, width] = [3, 8];
    const state = { w: float32(width, width), b: float32(width) };
    const forward: Program = {
      inputs: { x: float32(rows, width) },
      reads: ['w', 'b'],
      run: ({ w, b }, { x }) => ({
        outputs: { y: tf.add(tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D), b!) },
      }),
    };
    const grow: Program = {
      inputs: {},
      reads: ['b'],
      run: ({ b }) => ({ next: { b: tf.add(b!, 1) } }),
    };
    const programs = { plain: forward, fixed: { ...forward, constants: ['w', 'b'] }, grow };

    it('are read as they are, whoever changed them', async () => {
      const x = wave(rows * width, 1);
      const both = async (space: Parameters<Parameters<Harness['within']>[1]>[0]) => {
        const plain = (await space.run('plain', { x })).y!;
        const fixed = (await space.run('fixed', { x })).y!;
        for (let i = 0; i < plain.length; i++) expect(fixed[i]).toBeCloseTo(plain[i]!, 4);
        return [...fixed];
      };
      await harness.within({ state, programs }, async (space) => {
        await space.load({ w: wave(width * width, 2), b: wave(width, 3) });
        const first = await both(space);
        expect(await both(space)).toEqual(first);
        await space.load({ w: wave(width * width, 4) });
        const second = await both(space);
        expect(second[0]).not.toBeCloseTo(first[0]!, 4);
        await space.run('grow', {});
        expect((await both(space))[0]).toBeCloseTo(second[0]! + 1, 4);
        await harness.within({ state, programs }, async (other) => {
          expect(await both(other)).toEqual(Array(rows * width).fill(0));
        });
        expect((await both(space))[0]).toBeCloseTo(second[0]! + 1, 4);
      });
    });

    it('may be frozen', async () => {
      const frozen = { hash: 'constants', values: { w: wave(width * width, 2), b: wave(width, 3) } };
      const x = wave(rows * width, 1);
      const outputs = [];
      for (let time = 0; time < 2; time++)
        outputs.push(
          await harness.within({ state, programs: { fixed: programs.fixed }, frozen }, async (space) =>
            numbersOf(await space.run('fixed', { x })),
          ),
        );
      expect(outputs[1]).toEqual(outputs[0]);
    });
  });

  describe('programs', () => {
    it('may be given the first rows of a tensor, and write to any', () =>
      harness.within({ state: { a: float32(3, 2) } }, async (space) => {
        const program: Program = {
          inputs: {},
          reads: ['a'],
          first: { a: 2 },
          run: ({ a }) => ({
            outputs: { doubled: tf.mul(a!, 2) },
            rows: { a: { indices: tf.tensor2d([[2]], [1, 1], 'int32'), updates: tf.sum(a!, 0, true) } },
          }),
        };
        await space.add({ program });
        await space.load({ a: floats(1, 2, 3, 4, 5, 6) });
        expect(numbersOf(await space.run('program', {}))).toEqual({ doubled: [2, 4, 6, 8] });
        expect(await read(space, 'a')).toEqual({ a: [1, 2, 3, 4, 4, 6] });
        await expect(
          (async () => {
            await space.add({ more: { ...program, first: { a: 4 } } });
            await space.run('more', {});
          })(),
        ).rejects.toMatchObject({ code: 'TENSOR_BAD_INPUT' });
      }));

    it('give the outputs that are asked for', () =>
      harness.within({ state: { sum: pair } }, async (space) => {
        await space.add({
          both: {
            inputs: { x: pair },
            reads: [],
            run: (_, { x }) => ({ outputs: { y: tf.mul(x!, 2), z: tf.mul(x!, 3) }, added: { sum: x! } }),
          },
        });
        expect(numbersOf(await space.run('both', { x: floats(1, 2) }, ['z']))).toEqual({ z: [3, 6] });
        expect(numbersOf(await space.run('both', { x: floats(1, 2) }, []))).toEqual({});
        expect(await read(space, 'sum')).toEqual({ sum: [2, 4] });
      }));

    it('may be many over one state', async () => {
      const programs = Object.fromEntries(
        Array.from({ length: 20 }, (_, k) => [
          `p${k}`,
          {
            ...scaled,
            run: ({ w }, { x }) => ({ outputs: { y: tf.add(tf.mul(w!, x!), k) } }),
          } as Program,
        ]),
      );
      await harness.within({ state: { w: pair }, programs }, async (space) => {
        await space.load({ w: floats(1, 2) });
        const runs = Object.keys(programs).map((name) => space.run(name, { x: floats(1, 1) }));
        const results = await Promise.all(runs);
        expect(results.map(({ y }) => [...y!])).toEqual(Object.keys(programs).map((_, k) => [k + 1, k + 2]));
      });
    });

    it('are added at any time, and what is there already stays', () =>
      harness.within({ state: { w: pair, sum: pair }, programs: { scaled } }, async (space) => {
        await space.load({ w: floats(1, 2) });
        await space.run('scaled', { x: floats(1, 1) });
        await space.add({ accumulate, scaled: accumulate });
        await space.run('accumulate', { x: floats(3, 3) });
        await space.run('scaled', { x: floats(1, 1) });
        expect(await read(space, 'sum', 'w')).toEqual({ sum: [3, 6], w: [1, 2] });
      }));

    it('that cannot be captured fail alone', () =>
      harness.within({ state: { w: pair }, programs: { scaled } }, async (space) => {
        await space.load({ w: floats(1, 2) });
        await space.add({ bad: { inputs: {}, reads: [], run: () => ({ next: { w: tf.ones([3]) } }) } });
        for (let time = 0; time < 2; time++) {
          await expect(space.run('bad', {})).rejects.toMatchObject({ code: 'TENSOR_BAD_OUTPUT' });
          expect(numbersOf(await space.run('scaled', { x: floats(1, 1) }))).toEqual({ y: [1, 2] });
        }
      }));

    it('may give back what they are given', () =>
      harness.within({ state: {} }, async (space) => {
        const inputs = { n: int32(2), x: pair };
        await space.add({
          same: { inputs, reads: [], run: (_, { n, x }) => ({ outputs: { n: n!, x: x! } }) },
        });
        const given = { n: ints(1, -2), x: floats(3, 4) };
        expect(numbersOf(await space.run('same', given))).toEqual(numbersOf(given));
      }));

    it('that are equal in workspaces of their own read the state of each', async () => {
      for (const k of [1, 2, 3])
        await harness.within({ state: { w: pair }, programs: { scaled } }, async (space) => {
          await space.load({ w: floats(k, k) });
          expect(numbersOf(await space.run('scaled', { x: floats(1, 1) }))).toEqual({ y: [k, k] });
        });
    });
  });

  describe('a call that fails', () => {
    it('says why and changes nothing; those around it go on', () =>
      harness.within({ state: { w: pair, sum: pair }, programs: { accumulate } }, async (space) => {
        await space.load({ w: floats(1, 2) });
        const badInput = expect.objectContaining({ code: 'TENSOR_BAD_INPUT' });
        const results = await Promise.allSettled([
          space.run('accumulate', { x: floats(1, 1) }),
          space.run('accumulate', { x: floats(1) }),
          space.run('accumulate', { x: ints(1, 1) }),
          space.run('accumulate', {}),
          space.run('accumulate', { x: floats(1, 1), y: floats(1) }),
          space.run('other', {}),
          space.load({ w: floats(1) }),
          space.load({ v: floats(1, 1) }),
          space.read(['v']),
          space.read(['w'], { w: floats(1) }),
          space.run('accumulate', { x: floats(10, 10) }),
        ]);
        const reasons = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
        expect(reasons).toEqual([
          ...Array(4).fill(badInput),
          expect.objectContaining({ code: 'TENSOR_UNKNOWN_PROGRAM' }),
          ...Array(4).fill(badInput),
        ]);
        expect(await read(space, 'sum', 'w')).toEqual({ sum: [11, 22], w: [1, 2] });
      }));
  });
}
