import type { TensorInfo } from '@tensorflow/tfjs';
import { dataType } from '../../onnx/schema.js';
import { currentGraph, graphValue } from '../backend.js';
import { broadcast, recorded, recordedType } from '../recording.js';
import { emit, mapKernel } from './register.js';

const arithmetic: Readonly<Record<string, string>> = {
  Add: 'Add',
  Sub: 'Sub',
  Multiply: 'Mul',
  RealDiv: 'Div',
  Maximum: 'Max',
  Minimum: 'Min',
  Pow: 'Pow',
};
for (const [kernel, op] of Object.entries(arithmetic)) {
  mapKernel(kernel, ({ inputs: { a, b } }) => emit(op, [a!, b!], broadcast(a!, b!), a!.dtype));
}

const comparison: Readonly<Record<string, string>> = {
  Greater: 'Greater',
  GreaterEqual: 'GreaterOrEqual',
  Less: 'Less',
  LessEqual: 'LessOrEqual',
  Equal: 'Equal',
  LogicalAnd: 'And',
  LogicalOr: 'Or',
};
for (const [kernel, op] of Object.entries(comparison)) {
  mapKernel(kernel, ({ inputs: { a, b } }) => emit(op, [a!, b!], broadcast(a!, b!), 'bool'));
}
mapKernel('NotEqual', ({ inputs: { a, b } }) => {
  const shape = broadcast(a!, b!);
  return emit('Not', [emit('Equal', [a!, b!], shape, 'bool')], shape, 'bool');
});
mapKernel('LogicalNot', ({ inputs: { x } }) => unary('Not', x!));

const unary = (op: string, x: TensorInfo) => emit(op, [x], x.shape, x.dtype);

const functions: Readonly<Record<string, string>> = {
  Exp: 'Exp',
  Log: 'Log',
  Tanh: 'Tanh',
  Sqrt: 'Sqrt',
  Neg: 'Neg',
  Erf: 'Erf',
  Sigmoid: 'Sigmoid',
  Abs: 'Abs',
  Sign: 'Sign',
  Floor: 'Floor',
  Relu: 'Relu',
  Reciprocal: 'Reciprocal',
  Softplus: 'Softplus',
};
for (const [kernel, op] of Object.entries(functions)) {
  mapKernel(kernel, ({ inputs: { x } }) => unary(op, x!));
}

mapKernel('Square', ({ inputs: { x } }) => emit('Mul', [x!, x!], x!.shape, x!.dtype));
mapKernel('Rsqrt', ({ inputs: { x } }) => unary('Reciprocal', unary('Sqrt', x!)));
mapKernel('Log1p', ({ inputs: { x } }) =>
  unary('Log', emit('Add', [x!, currentGraph().scalar(1)], x!.shape, x!.dtype)),
);
mapKernel('Expm1', ({ inputs: { x } }) =>
  emit('Sub', [unary('Exp', x!), currentGraph().scalar(1)], x!.shape, x!.dtype),
);
mapKernel('SquaredDifference', ({ inputs: { a, b } }) => {
  const difference = emit('Sub', [a!, b!], broadcast(a!, b!), a!.dtype);
  return emit('Mul', [difference, difference], difference.shape, a!.dtype);
});

/** 1 where x > 0, `alpha` elsewhere: the derivative of relu. */
mapKernel('Step', ({ inputs: { x }, attrs: { alpha } }) => {
  const graph = currentGraph();
  const positive = emit('Greater', [x!, graph.scalar(0)], x!.shape, 'bool');
  return emit('Where', [positive, graph.scalar(1), graph.scalar(alpha ?? 0)], x!.shape, x!.dtype);
});

mapKernel('ClipByValue', ({ inputs: { x }, attrs: { clipValueMin, clipValueMax } }) => {
  const graph = currentGraph();
  return emit('Clip', [x!, graph.scalar(clipValueMin), graph.scalar(clipValueMax)], x!.shape, x!.dtype);
});

mapKernel('Select', ({ inputs: { condition, t, e } }) =>
  emit('Where', [condition!, t!, e!], t!.shape, t!.dtype),
);

mapKernel('Cast', ({ inputs: { x }, attrs: { dtype } }) =>
  x!.dtype === dtype
    ? recorded(graphValue(x!), dtype)
    : emit('Cast', [x!], x!.shape, dtype, { attributes: { to: { int: dataType[recordedType(dtype)] } } }),
);

mapKernel('Identity', ({ inputs: { x } }) => recorded(graphValue(x!), x!.dtype));
