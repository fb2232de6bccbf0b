export { TrainingError, type TrainingErrorCode } from './errors.js';
export type { ItemResult, Metrics, StepResult } from './methods/method.js';
export { RESULTS_FILE, resultsFile } from './results.js';
export { openSession, type Session, type SessionOptions, type StartingModels } from './session.js';
export { type Layout, layoutOf, type Models, type Role } from './trainer/layout.js';
export type { LossProgram, MicroBatch } from './trainer/program.js';
export { createTrainer, type Trainer, type TrainerOptions, type TrainerState } from './trainer/trainer.js';
