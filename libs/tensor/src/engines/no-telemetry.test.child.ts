/** Computes in this thread and in others. */
import * as tf from '@tensorflow/tfjs';
import { compute } from '../compute.test.support.js';
import { float32, type Tensors } from '../engine.js';
import { onnxPool } from '../pool/pool.js';
import { onnxEngine } from './onnx.js';

const where = { thread: onnxEngine(), pool: onnxPool({ workers: 1 }) };
const engine = where[process.argv[2] as keyof typeof where];
const square = ({ x }: Tensors) => ({ y: tf.square(x!) });
const { y } = await compute(engine, square, { x: float32(1) }, { x: Float32Array.of(3) });
process.stdout.write(String(y![0]));
await Promise.all(Object.values(where).map((each) => each.close()));
