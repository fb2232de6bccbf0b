import { expect, it } from 'vitest';
import { isMistake } from './errors.js';

it.each([
  'RUN_SOURCE_UNKNOWN',
  'RUN_DATA_EMPTY',
  'RUN_MODEL_UNFIT',
  'RUN_MEMORY',
  'DATA_NOT_FOUND',
  'MODEL_CONFIG_INVALID',
  'TRAINING_CONFIG_INVALID',
  'TRAINING_REPLAY_UNFIT',
  'TRAINING_MODELS_DIFFER',
  'EVALUATION_ONE_CLASS',
])('%s is about what was asked for', (code) => {
  expect(isMistake(code)).toBe(true);
});

it.each([
  'COORDINATOR_FAILED',
  'LOG_WRITE_FAILED',
  'LOG_LOCKED',
  'TRAINING_CHECKPOINT_INVALID',
  'RUN_STALLED',
  'EVALUATION_BAD_REPORT',
  'METADATA_',
])('%s is not', (code) => {
  expect(isMistake(code)).toBe(false);
});
