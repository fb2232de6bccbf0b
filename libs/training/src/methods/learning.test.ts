import { onnxEngine, onnxPool } from '@rlhf-streams/tensor';
import { learningTests } from './learning.test.support.js';

learningTests(() => onnxPool({ workers: 2 }), onnxEngine);
