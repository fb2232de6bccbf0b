export type CoordinatorErrorCode =
  | 'RUN_SOURCE_UNKNOWN'
  | 'RUN_SOURCE_FAILED'
  | 'RUN_SOURCE_UNFIT'
  | 'RUN_DATA_EMPTY'
  | 'RUN_DATA_LOST'
  | 'RUN_ITEMS_INVALID';

/** A run that cannot start, because of what it names. */
export class CoordinatorError extends Error {
  override readonly name = 'CoordinatorError';
  readonly code: CoordinatorErrorCode;

  constructor(code: CoordinatorErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
