import { type Engine, requireTensorflow, tensorflowEngine } from '@rlhf-streams/tensor';
import type { EngineChoice } from '../settings.js';

/**
 * The engine that the settings choose, in a thread that computes.
 * @param onnx makes the thread's engine on ONNX Runtime
 * @throws TensorError TENSOR_ENGINE_UNAVAILABLE, TENSOR_DEVICE_UNAVAILABLE when what is chosen is not here
 */
export async function openEngine(choice: EngineChoice, onnx: () => Engine): Promise<Engine> {
  if (choice.engine === 'onnx') return onnx();
  await requireTensorflow(choice.device);
  return tensorflowEngine(choice.options);
}
