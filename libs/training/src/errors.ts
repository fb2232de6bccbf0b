export type TrainingErrorCode =
  | 'TRAINING_EMPTY_STEP'
  | 'TRAINING_MODELS_DIFFER'
  | 'TRAINING_CHECKPOINT_INVALID'
  /** A program, or the shape of a micro-batch, that was not made ready before the first step. */
  | 'TRAINING_PROGRAM_UNKNOWN'
  /** A newer build wrote it. */
  | 'TRAINING_CHECKPOINT_TOO_NEW';

/** A run that cannot be configured, or a step that cannot be computed. */
export class TrainingError extends Error {
  override readonly name = 'TrainingError';
  readonly code: TrainingErrorCode;
  /** Whether a run that meets this error waits, until the service is upgraded. */
  readonly unavailable: boolean;

  constructor(code: TrainingErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.unavailable = code === 'TRAINING_CHECKPOINT_TOO_NEW';
  }
}
