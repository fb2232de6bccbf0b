import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { expect, it, vi } from 'vitest';
import { trace } from '../capture/capture.js';
import { float32 } from '../engine.js';
import { withConstants, withoutInputs } from '../onnx/constants.js';
import { modelOf } from '../onnx/model.js';
import { createFrozenStore } from './frozen.js';
import { createSessions, feed, MOST_MAPPING, type Session } from './session.js';

const model = (name: string) =>
  modelOf(
    trace(
      {
        inputs: { x: float32(2) },
        reads: [name],
        run: (state, { x }) => ({ outputs: { y: tf.mul(state[name]!, x!) } }),
      },
      { [name]: float32(2) },
    ),
  );

it('programs that differ in names alone are one model, and share a session until both have left', async () => {
  const [a, b] = [model('a'), model('b')];
  expect(b.hash).toBe(a.hash);
  const sessions = createSessions({});
  const bytes = vi.fn(() => ({ bytes: a.bytes }));
  const [first, second] = [await sessions.use(a.hash, bytes), await sessions.use(b.hash, bytes)];
  expect(bytes).toHaveBeenCalledOnce();
  expect(second).toBe(first);
  await sessions.leave(a.hash);
  const x = feed(float32(2), Float32Array.of(3, 4));
  expect([...(await second.run({ i0: x, i1: x }, 1))[0]!]).toEqual([9, 16]);
  await sessions.leave(b.hash);
  await sessions.use(a.hash, bytes);
  expect(bytes).toHaveBeenCalledTimes(2);
  await sessions.leave(a.hash);
});

it('a model that cannot be opened is tried again', async () => {
  const sessions = createSessions({});
  await expect(sessions.use('key', () => ({ bytes: Uint8Array.of(1, 2, 3) }))).rejects.toThrow();
  const { bytes } = model('a');
  await expect(sessions.use('key', () => ({ bytes }))).resolves.toBeDefined();
  await sessions.leave('key');
});

it('inputs of a model become constants', async () => {
  const { bytes, state } = model('w');
  const input = Object.keys(state)[0]!;
  const sessions = createSessions({});
  const constants = { [input]: { spec: float32(2), values: Float32Array.of(5, 6) } };
  const fixed = withConstants(withoutInputs(bytes, new Set([input])), constants);
  const session = await sessions.use('fixed', () => ({ bytes: fixed }));
  expect([...(await session.run({ i1: feed(float32(2), Float32Array.of(1, 2)) }, 1))[0]!]).toEqual([5, 12]);
  await sessions.leave('fixed');
});

it('frozen tensors are kept once for all that have them, and no longer', () => {
  const keep = vi.fn((buffer) => buffer.slice());
  const store = createFrozenStore(keep);
  const state = { w: float32(2) };
  const frozen = { hash: 'w', values: { w: Float32Array.of(1, 2) } };
  const first = store.use(state, frozen);
  const second = store.use(state, { ...frozen, values: { w: Float32Array.of(1, 2) } });
  expect(second.w).toBe(first.w);
  expect(store.leave(frozen)).toBe(false);
  expect(store.leave(frozen)).toBe(true);
  expect(store.use(state, frozen).w).not.toBe(first.w);
  expect(keep).toHaveBeenCalledTimes(2);
});

it('of the sessions that map a file few are open, those that ran last; the others are opened again', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'rlhf-streams-sessions-'));
  await writeFile(join(folder, 'tensors'), new Uint8Array(Float32Array.of(5, 6).buffer));
  const { bytes, state } = model('w');
  const input = Object.keys(state)[0]!;
  const mapping = withConstants(withoutInputs(bytes, new Set([input])), {
    [input]: { spec: float32(2), values: { file: 'tensors', offset: 0, bytes: 8 } },
  });
  const sessions = createSessions({});
  const opened: number[] = [];
  const openable = (i: number) => () => {
    opened.push(i);
    return { bytes: mapping, folder };
  };
  const count = MOST_MAPPING + 1;
  const used: Session[] = [];
  for (let i = 0; i < count; i++) used.push(await sessions.use(`${i}`, openable(i)));
  const x = { i1: feed(float32(2), Float32Array.of(1, 2)) };
  const run = async (i: number) => [...(await used[i]!.run(x, 1))[0]!];
  opened.length = 0;
  expect(await run(1)).toEqual([5, 12]);
  expect(opened).toEqual([]);
  expect(await run(0)).toEqual([5, 12]);
  expect(opened).toEqual([0]);
  expect(await run(2)).toEqual([5, 12]);
  expect(opened).toEqual([0, 2]);
  expect(await run(1)).toEqual([5, 12]);
  expect(opened).toEqual([0, 2]);
  for (let i = 0; i < count; i++) await sessions.leave(`${i}`);
  await rm(folder, { recursive: true });
});
