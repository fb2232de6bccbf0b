/** The process that tells whether TensorFlow computes here: `node probing-process.js cuda|cpu`; it fails by what is missing. */
import { float32, requireTensorflow, tensorflowEngine } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';

const SIZE = 1024;

await requireTensorflow(process.argv[2] === 'cuda' ? 'cuda' : 'cpu');
const engine = tensorflowEngine();
const space = await engine.open({});
await space.add({
  product: {
    inputs: { x: float32(SIZE, SIZE) },
    reads: [],
    run: (_, { x }) => ({ outputs: { y: tf.matMul(x as tf.Tensor2D, x as tf.Tensor2D) } }),
  },
});
// A matrix of ones: each number of the product is a sum of as many.
const { y } = await space.run('product', { x: new Float32Array(SIZE * SIZE).fill(1) });
if (y!.some((value) => value !== SIZE))
  throw new Error(`expected ${SIZE} everywhere in the product, got ${y![0]}`);
await space.dispose();
await engine.close();
