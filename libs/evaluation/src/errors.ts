/** What can be wrong with the numbers, texts or files given to this package. */
export type EvaluationErrorCode =
  | 'EVALUATION_EMPTY'
  | 'EVALUATION_NOT_FINITE'
  | 'EVALUATION_LENGTH_MISMATCH'
  | 'EVALUATION_OUT_OF_RANGE'
  | 'EVALUATION_LENGTH_CONFOUNDED'
  | 'EVALUATION_BAD_LABEL'
  | 'EVALUATION_ONE_CLASS'
  | 'EVALUATION_BAD_GOLD_REWARD'
  | 'EVALUATION_BAD_REPORT';

/** Raised by every function of this package; `code` is stable, the message says what to do. */
export class EvaluationError extends Error {
  readonly code: EvaluationErrorCode;

  constructor(code: EvaluationErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'EvaluationError';
    this.code = code;
  }
}
