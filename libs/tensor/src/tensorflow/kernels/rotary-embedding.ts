import { asTensor } from '../../capture/recording.js';
import { recordKernel } from '../../kernels/kernel.js';
import { CAPTURE, current, graphValue } from '../backend.js';
import { type GraphValue, typeOf } from '../graph.js';
import { reshape } from '../operators.js';
import { emitValue, typed } from './register.js';

/**
 * x [B, R, heads * K], cos and sin [R, K / 2] -> y like x, every head of row r turned by rotation r: with the halves of a head
 * swapped, x cos + swapped (-sin, sin).
 */
recordKernel(CAPTURE, 'RotaryEmbedding', ({ x, cos, sin }) => {
  const { graph } = current();
  const [B, R, width] = x!.shape as [number, number, number];
  const K = 2 * cos!.shape[1]!;
  const heads = [B, R, width / K, K];
  const { cosines, sines } = tablesOf(graphValue(cos!), graphValue(sin!));
  const turned = reshape(graph, graphValue(x!), heads);
  const swapped = emitValue('Roll', [turned, graph.int(K / 2), graph.int(3)], heads, 'float32', {
    ...typed(turned),
    Tshift: typeOf('int32'),
    Taxis: typeOf('int32'),
  });
  const product = (a: GraphValue, b: GraphValue) => emitValue('Mul', [a, b], heads, 'float32', typed(a));
  const parts = [product(turned, cosines), product(swapped, sines)];
  const y = emitValue('AddV2', parts, heads, 'float32', typed(turned));
  return { y: asTensor(reshape(graph, y, x!.shape), 'float32') };
});

/** All layers have the same rotations. */
const known = new WeakMap<GraphValue, { sin: GraphValue; cosines: GraphValue; sines: GraphValue }>();

/** (cos, cos) and (-sin, sin), [R, 1, K]. */
function tablesOf(cos: GraphValue, sin: GraphValue) {
  const made = known.get(cos);
  if (made?.sin === sin) return made;
  const { graph } = current();
  const [R, half] = cos.shape as [number, number];
  const both = (a: GraphValue, b: GraphValue) => {
    const inputs = [a, b, graph.int(1)];
    const attributes = typed(a, { N: { i: 2 }, Tidx: typeOf('int32') });
    return reshape(graph, emitValue('ConcatV2', inputs, [R, 2 * half], 'float32', attributes), [
      R,
      1,
      2 * half,
    ]);
  };
  const back = emitValue('Neg', [sin], sin.shape, 'float32', typed(sin));
  const tables = { sin, cosines: both(cos, cos), sines: both(back, sin) };
  known.set(cos, tables);
  return tables;
}
