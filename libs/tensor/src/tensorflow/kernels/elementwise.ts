import type * as tf from '@tensorflow/tfjs';
import { broadcast, recorded, recordedType } from '../../capture/recording.js';
import { current, graphValue } from '../backend.js';
import { bytes } from '../graph.js';
import { cast } from '../operators.js';
import { constantLike, emit, mapKernel, typed } from './register.js';

/**
 * A vector added to the rows of a matrix is its bias: TensorFlow gathers sums of several tensors into one operator, AddN,
 * which it does not give to XLA, and then XLA compiles a program in pieces.
 */
mapKernel('Add', ({ inputs: { a, b } }) => {
  const isBias = a!.dtype === 'float32' && a!.shape.length === 2 && b!.shape.length === 1;
  if (isBias && b!.shape[0] === a!.shape[1])
    return emit('BiasAdd', [a!, b!], a!.shape, a!.dtype, typed(a!, { data_format: bytes('NHWC') }));
  return emit('AddV2', [a!, b!], broadcast(a!, b!), a!.dtype, typed(a!));
});

const arithmetic: Readonly<Record<string, string>> = {
  Sub: 'Sub',
  Multiply: 'Mul',
  RealDiv: 'RealDiv',
  Maximum: 'Maximum',
  Minimum: 'Minimum',
  Pow: 'Pow',
  SquaredDifference: 'SquaredDifference',
};
for (const [kernel, op] of Object.entries(arithmetic))
  mapKernel(kernel, ({ inputs: { a, b } }) => emit(op, [a!, b!], broadcast(a!, b!), a!.dtype, typed(a!)));

for (const op of ['Greater', 'GreaterEqual', 'Less', 'LessEqual', 'Equal', 'NotEqual'])
  mapKernel(op, ({ inputs: { a, b } }) => emit(op, [a!, b!], broadcast(a!, b!), 'bool', typed(a!)));

for (const op of ['LogicalAnd', 'LogicalOr'])
  mapKernel(op, ({ inputs: { a, b } }) => emit(op, [a!, b!], broadcast(a!, b!), 'bool'));
mapKernel('LogicalNot', ({ inputs: { x } }) => emit('LogicalNot', [x!], x!.shape, 'bool'));

const functions = [
  'Exp',
  'Log',
  'Tanh',
  'Sqrt',
  'Rsqrt',
  'Neg',
  'Erf',
  'Sigmoid',
  'Abs',
  'Sign',
  'Floor',
  'Relu',
  'Reciprocal',
  'Softplus',
  'Square',
  'Log1p',
  'Expm1',
];
for (const op of functions)
  mapKernel(op, ({ inputs: { x } }) => emit(op, [x!], x!.shape, x!.dtype, typed(x!)));

/** 1 where x > 0, `alpha` elsewhere: the derivative of relu. */
mapKernel('Step', ({ inputs: { x }, attrs: { alpha } }) => {
  const positive = emit('Greater', [x!, constantLike(x!.dtype, 0)], x!.shape, 'bool', typed(x!));
  const [one, other] = [constantLike(x!.dtype, 1), constantLike(x!.dtype, alpha ?? 0)];
  return emit('SelectV2', [positive, one, other], x!.shape, x!.dtype, typed(x!));
});

mapKernel('ClipByValue', ({ inputs: { x }, attrs: { clipValueMin, clipValueMax } }) => {
  const bounded = (op: string, operand: tf.TensorInfo, bound: number) =>
    emit(op, [operand, constantLike(x!.dtype, bound)], x!.shape, x!.dtype, typed(x!));
  return bounded('Maximum', bounded('Minimum', x!, clipValueMax), clipValueMin);
});

mapKernel('Select', ({ inputs: { condition, t, e } }) =>
  emit('SelectV2', [condition!, t!, e!], t!.shape, t!.dtype, typed(t!)),
);

mapKernel('Cast', ({ inputs: { x }, attrs: { dtype } }) =>
  recorded(cast(current().graph, graphValue(x!), recordedType(dtype)), dtype),
);

mapKernel('Identity', ({ inputs: { x } }) => recorded(graphValue(x!), x!.dtype));
