import '@rlhf-streams/kafka-broker/vitest';
import { describe, inject } from 'vitest';
import { engineConformance } from '../conformance/index.js';
import { tensorflowEngine } from './engine.js';

describe.skipIf(!inject('tensorflow'))('TensorFlow', () => {
  engineConformance('tensorflow', { create: tensorflowEngine });
  engineConformance('tensorflow compiled by XLA', { create: () => tensorflowEngine({ xla: true }) });
  // Operands of products have 8 bits of precision.
  engineConformance('tensorflow with bf16', {
    create: () => tensorflowEngine({ precision: 'bf16' }),
    tolerance: 1e-2,
  });
});
