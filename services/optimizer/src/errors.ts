export type OptimizerErrorCode = 'RUN_STALLED' | 'RUN_STEP_EMPTY' | 'REPLAY_INCOMPLETE';

/** A run whose training cannot go on. */
export class OptimizerError extends Error {
  override readonly name = 'OptimizerError';
  readonly code: OptimizerErrorCode;

  constructor(code: OptimizerErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
