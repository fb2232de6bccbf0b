import * as tf from '@tensorflow/tfjs';
import { recorded } from '../../capture/recording.js';
import { current, graphValue } from '../backend.js';
import { type GraphValue, typeOf } from '../graph.js';
import { emitValue, mapKernel } from './register.js';

mapKernel('BatchMatMul', ({ inputs: { a, b }, attrs: { transposeA, transposeB } }) => {
  const rows = a!.shape.at(transposeA ? -1 : -2)!;
  const columns = b!.shape.at(transposeB ? -2 : -1)!;
  const batch = tf.backend_util.assertAndGetBroadcastShape(a!.shape.slice(0, -2), b!.shape.slice(0, -2));
  const shape = [...batch, rows, columns];
  const { precision } = current();
  if (precision === 'float32')
    return recorded(product(graphValue(a!), graphValue(b!), shape, transposeA, transposeB), 'float32');
  const [x, y] = [rounded(graphValue(a!)), rounded(graphValue(b!))];
  const value = castValue(product(x, y, shape, transposeA, transposeB), 'float32');
  return recorded(value, 'float32');
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

const rounded = (value: GraphValue): GraphValue => current().rounded(value) ?? castValue(value, 'bfloat16');

const castValue = (value: GraphValue, type: 'float32' | 'bfloat16'): GraphValue =>
  emitValue('Cast', [value], value.shape, type, { SrcT: typeOf(value.type), DstT: typeOf(type) });
