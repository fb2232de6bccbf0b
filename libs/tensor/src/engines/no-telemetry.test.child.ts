/** Computes in this thread and in others. */
import * as tf from '@tensorflow/tfjs';
import { float32 } from '../engine.js';
import { onnxPool } from '../pool/pool.js';
import { onnxEngine } from './onnx.js';

const where = { thread: onnxEngine(), pool: onnxPool({ workers: 1 }) };
const engine = where[process.argv[2] as keyof typeof where];
const square = await engine.compile(({ x }) => ({ y: tf.square(x!) }), { x: float32(1) });
const { y } = await square.run({ x: Float32Array.of(3) });
process.stdout.write(String(y![0]));
await Promise.all(Object.values(where).map((each) => each.close()));
