/**
 * | code | when |
 * |---|---|
 * | `RUN_SOURCE_UNKNOWN` | the run builds on one that does not exist |
 * | `RUN_SOURCE_FAILED` | the run builds on one that did not complete |
 * | `RUN_SOURCE_UNFIT` | data, or a run to be replayed, is of another kind than the method takes |
 * | `RUN_DATA_EMPTY` | there are no data, or no row that can be used |
 * | `RUN_DATA_LOST` | more of the data would be dropped or cut than the run allows |
 * | `RUN_ITEMS_INVALID` | the items of a started run do not fit their schema |
 * | `RUN_ITEMS_TOO_NEW` | a newer build made the items of a started run: it goes on when the coordinator is upgraded |
 * | `RUN_MODEL_INVALID` | what is named as a model is no model, or is damaged |
 * | `RUN_MODEL_UNFIT` | a model is of another kind than its role in the run takes, or reads other tokens |
 * | `RUN_SCORER_UNDECLARED` | the run names a scorer that the operator has not declared |
 * | `RUN_MEMORY` | the models need more memory than there is |
 */
export type CoordinatorErrorCode =
  | 'RUN_SOURCE_UNKNOWN'
  | 'RUN_SOURCE_FAILED'
  | 'RUN_SOURCE_UNFIT'
  | 'RUN_DATA_EMPTY'
  | 'RUN_DATA_LOST'
  | 'RUN_ITEMS_INVALID'
  | 'RUN_ITEMS_TOO_NEW'
  | 'RUN_MODEL_INVALID'
  | 'RUN_MODEL_UNFIT'
  | 'RUN_SCORER_UNDECLARED'
  | 'RUN_MEMORY';

/** A run that cannot start, because of what it names. */
export class CoordinatorError extends Error {
  override readonly name = 'CoordinatorError';
  readonly code: CoordinatorErrorCode;
  /** Whether a run that meets this error waits, until the coordinator is upgraded. */
  readonly unavailable: boolean;

  constructor(code: CoordinatorErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.unavailable = code === 'RUN_ITEMS_TOO_NEW';
  }
}
