import { createRequire } from 'node:module';

/** The version of ONNX Runtime, read without loading it. */
export const onnxRuntimeVersion: string = (
  createRequire(import.meta.url)('onnxruntime-node/package.json') as { version: string }
).version;
