export { capture } from './capture/capture.js';
export {
  allocate,
  type Buffers,
  type Engine,
  type Executable,
  float32,
  int32,
  type Program,
  type Specs,
  sizeOf,
} from './engine.js';
export { cpuEngine } from './engines/cpu.js';
export { requireDevice } from './engines/device.js';
export { onnxEngine } from './engines/onnx.js';
export type { Device } from './engines/session.js';
export { TensorError } from './errors.js';
export { onnxPool } from './pool/pool.js';
