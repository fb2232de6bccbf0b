import * as tf from '@tensorflow/tfjs';
import { recorded } from '../../capture/recording.js';
import { current, graphValue } from '../backend.js';
import { type GraphValue, typeOf } from '../graph.js';
import { cast } from '../operators.js';
import { emitValue, mapKernel } from './register.js';

mapKernel('BatchMatMul', ({ inputs: { a, b }, attrs: { transposeA, transposeB } }) => {
  const rows = a!.shape.at(transposeA ? -1 : -2)!;
  const columns = b!.shape.at(transposeB ? -2 : -1)!;
  const batch = tf.backend_util.assertAndGetBroadcastShape(a!.shape.slice(0, -2), b!.shape.slice(0, -2));
  const shape = [...batch, rows, columns];
  const { graph, precision } = current();
  if (precision === 'float32')
    return recorded(product(graphValue(a!), graphValue(b!), shape, transposeA, transposeB), 'float32');
  const [x, y] = [rounded(graphValue(a!)), rounded(graphValue(b!))];
  return recorded(cast(graph, product(x, y, shape, transposeA, transposeB), 'float32'), 'float32');
});

function product(
  a: GraphValue,
  b: GraphValue,
  shape: readonly number[],
  transposeA: boolean,
  transposeB: boolean,
): GraphValue {
  const T = typeOf(a.type);
  const [first, second] = [{ b: Boolean(transposeA) }, { b: Boolean(transposeB) }];
  return shape.length === 2
    ? emitValue('MatMul', [a, b], shape, a.type, { T, transpose_a: first, transpose_b: second })
    : emitValue('BatchMatMulV2', [a, b], shape, a.type, { T, adj_x: first, adj_y: second });
}

const rounded = (value: GraphValue): GraphValue =>
  current().rounded(value) ?? cast(current().graph, value, 'bfloat16');
