import '@rlhf-streams/kafka-broker/vitest';
import { describe, inject } from 'vitest';
import { engineConformance } from '../conformance/index.js';
import { tensorflowEngine } from './engine.js';

describe.skipIf(!inject('tensorflow'))('TensorFlow', () => {
  engineConformance('tensorflow', { create: tensorflowEngine });
  engineConformance('tensorflow compiled by XLA', { create: () => tensorflowEngine({ xla: true }) });
  // Operands and results of products have 8 bits of precision.
  for (const xla of [false, true])
    engineConformance(`tensorflow with bf16${xla ? ' compiled by XLA' : ''}`, {
      create: () => tensorflowEngine({ precision: 'bf16', xla }),
      tolerance: 1e-2,
    });
});
