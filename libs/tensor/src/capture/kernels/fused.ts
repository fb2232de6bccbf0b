/** Kernels of our own name that ONNX Runtime has an operator for. */
import { recordKernel } from '../../kernels/kernel.js';
import { currentGraph, graphValue } from '../backend.js';
import { asTensor, emit } from './register.js';

/** x [..., D], weight and bias [D] -> y like x; mean and inverseDeviation [..., 1] */
recordKernel('LayerNormalization', ({ x, weight, bias }, { epsilon }) => {
  const each = [...x!.shape.slice(0, -1), 1];
  const [y, mean, inverseDeviation] = currentGraph().nodes(
    'LayerNormalization',
    [x!, weight!, bias!].map(graphValue),
    'float32',
    [x!.shape, each, each],
    { attributes: { axis: { int: -1 }, epsilon: { float: epsilon! } } },
  );
  return {
    y: asTensor(y!, 'float32'),
    mean: asTensor(mean!, 'float32'),
    inverseDeviation: asTensor(inverseDeviation!, 'float32'),
  };
});

/** gelu_new of x, of any shape */
recordKernel('FastGelu', ({ x }) => {
  const y = emit('FastGelu', [x!], x!.shape, 'float32', { domain: 'com.microsoft' });
  return { y: asTensor(graphValue(y), 'float32') };
});
