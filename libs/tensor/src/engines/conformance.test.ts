import { engineConformance, sameBitsConformance } from '../conformance/index.js';
import { cpuEngine, onnxEngine, onnxPool } from '../index.js';
import { PAGE_BYTES } from '../loops/webassembly.js';
import { poolWithin } from '../pool/within.js';

engineConformance('cpu', { create: cpuEngine });
engineConformance('onnx', { create: onnxEngine });
for (const workers of [1, 2])
  engineConformance(`onnx-pool of ${workers}`, { create: () => onnxPool({ workers }) });
engineConformance('onnx-pool without a WebAssembly memory', { create: () => poolWithin(0, { workers: 2 }) });

sameBitsConformance('onnx and its pools', {
  'in the calling thread': onnxEngine,
  '1 worker': () => onnxPool({ workers: 1 }),
  '2 workers': () => onnxPool({ workers: 2 }),
  '3 workers': () => onnxPool({ workers: 3 }),
  'results outside of the WebAssembly memory': () => poolWithin(41 * PAGE_BYTES, { workers: 2 }),
  'no WebAssembly memory': () => poolWithin(0, { workers: 2 }),
});
