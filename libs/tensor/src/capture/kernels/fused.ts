/** Kernels of our own name that ONNX Runtime has an operator for. */
import { recordKernel } from '../../kernels/kernel.js';
import { CAPTURE, currentGraph, graphValue } from '../backend.js';
import { asTensor } from '../recording.js';
import { emit } from './register.js';

/** x [..., D], weight and bias [D] -> y like x; mean and inverseDeviation [..., 1] */
recordKernel(CAPTURE, 'LayerNormalization', ({ x, weight, bias }, { epsilon }) => {
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
recordKernel(CAPTURE, 'FastGelu', ({ x }) => {
  const y = emit('FastGelu', [x!], x!.shape, 'float32', { domain: 'com.microsoft' });
  return { y: asTensor(graphValue(y), 'float32') };
});

/** x [..., D], weight [D] -> y like x; inverseRoot [..., 1] */
recordKernel(CAPTURE, 'SimplifiedLayerNormalization', ({ x, weight }, { epsilon }) => {
  const each = [...x!.shape.slice(0, -1), 1];
  const [y, inverseRoot] = currentGraph().nodes(
    'SimplifiedLayerNormalization',
    [x!, weight!].map(graphValue),
    'float32',
    [x!.shape, each],
    { attributes: { axis: { int: -1 }, epsilon: { float: epsilon! } } },
  );
  return { y: asTensor(y!, 'float32'), inverseRoot: asTensor(inverseRoot!, 'float32') };
});

/** x [B, R, heads * K], cos and sin [R, K / 2] -> y like x, every head of row r turned by rotation r */
recordKernel(CAPTURE, 'RotaryEmbedding', ({ x, cos, sin }) => {
  const first = currentGraph().int64s([0]);
  const inputs = [graphValue(x!), first, graphValue(cos!), graphValue(sin!)];
  const y = emit('RotaryEmbedding', inputs, x!.shape, 'float32', { domain: 'com.microsoft' });
  return { y: asTensor(graphValue(y), 'float32') };
});
