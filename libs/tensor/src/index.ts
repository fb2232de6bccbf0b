export { after } from './after.js';
export {
  allocate,
  type Buffers,
  type Effects,
  type Engine,
  type Frozen,
  float32,
  int32,
  type Program,
  type RowUpdates,
  type Specs,
  type StoredTensors,
  sizeOf,
  type Tensors,
  type Workspace,
} from './engine.js';
export { cpuEngine } from './engines/cpu.js';
export { namesOf } from './engines/frozen.js';
export { onnxEngine } from './engines/onnx.js';
export { PACKING, type Products, packedContents, packedTensors, productsOf } from './engines/packed.js';
export { TensorError } from './errors.js';
export { type AdamW, type AdamWOptions, type AdamWTensors, adamWKernel } from './kernels/adamw.js';
export { kernel } from './kernels/kernel.js';
export { sumOfSquares } from './kernels/sum-of-squares.js';
export { updatedRows } from './kernels/updated-rows.js';
export { onnxPool } from './pool/pool.js';
export { capturedFor } from './tensorflow/backend.js';
export { requireTensorflow, type TensorflowOptions, tensorflowEngine } from './tensorflow/engine.js';
