import * as tf from '@tensorflow/tfjs';
import { float32 } from '../engine.js';
import { TensorError } from '../errors.js';
import { onnxEngine } from './onnx.js';
import type { Device } from './session.js';

/** Tries the device with a small program. @throws TensorError TENSOR_DEVICE_UNAVAILABLE when it cannot compute here. */
export async function requireDevice(device: Device): Promise<void> {
  if (device === 'cpu') return;
  try {
    const space = await onnxEngine({ device }).open({});
    await space.add({
      square: {
        inputs: { x: float32(1) },
        reads: [],
        run: (_, { x }) => ({ outputs: { y: tf.square(x!) } }),
      },
    });
    await space.run('square', { x: Float32Array.of(2) });
    await space.dispose();
  } catch (cause) {
    throw new TensorError(
      'TENSOR_DEVICE_UNAVAILABLE',
      `expected to compute on ${device}, got: ${(cause as Error).message}. It takes an NVIDIA GPU, its driver, CUDA 12 with cuDNN 9, and ONNX Runtime's libraries for it, as in the images built with DEVICE=cuda.`,
      { cause },
    );
  }
}
