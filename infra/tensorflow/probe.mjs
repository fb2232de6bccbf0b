/**
 * Computes a matrix product with a binding of tfjs-node, and says by which TensorFlow: `node probe.mjs BINDING`. In a process
 * of its own: TensorFlow tells of its devices on standard error alone, and keeps open what it has opened.
 */
import { createRequire } from 'node:module';

const [, , path] = process.argv;
const binding = createRequire(import.meta.url)(path);

const matrix = (...values) => binding.createTensor([2, 2], binding.TF_FLOAT, Float32Array.from(values));
const attributes = [
  { name: 'T', type: binding.TF_ATTR_TYPE, value: binding.TF_FLOAT },
  { name: 'transpose_a', type: binding.TF_ATTR_BOOL, value: false },
  { name: 'transpose_b', type: binding.TF_ATTR_BOOL, value: false },
];
const [product] = binding.executeOp('MatMul', attributes, [matrix(1, 2, 3, 4), matrix(5, 6, 7, 8)], 1);
const values = [...binding.tensorDataSync(product.id)].join();
if (values !== '19,22,43,50') throw new Error(`expected a product of 19,22,43,50, got ${values}`);
process.stdout.write(`TensorFlow ${binding.TF_Version} computes`);
