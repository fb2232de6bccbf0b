export { TrainingError, type TrainingErrorCode } from './errors.js';
export type { Beside, ItemResult, Metrics, StepResult } from './methods/method.js';
export { RESULTS_FILE, resultsFile } from './results.js';
export { openSession, type Session, type SessionOptions } from './session.js';
export type { StartingModels } from './starting/index.js';
export { type Layout, layoutOf, type Models, type Role, type Sharing } from './trainer/layout.js';
export { oneGroup, type ParameterGroup } from './trainer/optimizer.js';
export type { BatchShape, InferenceProgram, LossProgram, MicroBatch, Programs } from './trainer/program.js';
export {
  type BatchResult,
  createTrainer,
  type Trainer,
  type TrainerOptions,
  type TrainerState,
} from './trainer/trainer.js';
