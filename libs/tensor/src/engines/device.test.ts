import * as tf from '@tensorflow/tfjs';
import { expect, it } from 'vitest';
import { float32 } from '../engine.js';
import { onnxPool } from '../pool/pool.js';
import { requireDevice } from './device.js';
import { onnxEngine } from './onnx.js';

it('the CPU is always there', async () => {
  await expect(requireDevice('cpu')).resolves.toBeUndefined();
});

it('a GPU computes what the CPU does, or its absence is an error that says what it takes', async () => {
  const missing = await requireDevice('cuda').catch((error: unknown) => error);
  const engines = [onnxEngine({ device: 'cuda' }), onnxPool({ workers: 1, device: 'cuda' })];
  for (const engine of engines) {
    const run = async () => {
      const product = await engine.compile(({ x }) => ({ y: tf.matMul(x!, x!) }), { x: float32(2, 2) });
      return (await product.run({ x: Float32Array.of(1, 2, 3, 4) })).y!;
    };
    if (missing) await expect(run()).rejects.toThrow();
    else expect([...(await run())].map(Math.round)).toEqual([7, 10, 15, 22]);
    await engine.close();
  }
  if (missing)
    expect(missing).toMatchObject({
      code: 'TENSOR_DEVICE_UNAVAILABLE',
      message: expect.stringMatching(/^expected to compute on cuda, got: .*CUDA 12/),
    });
});
