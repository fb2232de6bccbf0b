/** Codes that stay the same across releases. */
export type AlignmentErrorCode =
  /** Arrays or tensors that must agree in length or shape do not. */
  | 'ALIGNMENT_SHAPE'
  /** A number is NaN or infinite where the method needs a finite one. */
  | 'ALIGNMENT_NOT_FINITE'
  /** A hyperparameter lies outside its range. */
  | 'ALIGNMENT_OPTION'
  /** Too few tokens or rows for the statistic asked for. */
  | 'ALIGNMENT_TOO_FEW';

/** Thrown by every function of this package on input it cannot work with. */
export class AlignmentError extends Error {
  readonly code: AlignmentErrorCode;

  constructor(code: AlignmentErrorCode, message: string) {
    super(message);
    this.name = 'AlignmentError';
    this.code = code;
  }
}
