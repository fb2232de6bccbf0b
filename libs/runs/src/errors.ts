export type RunErrorCode = 'TRAINING_CONFIG_INVALID' | 'TRAINING_REPLAY_UNFIT' | 'TRAINING_ITEM_INCOMPLETE';

/** A run that cannot be configured, or replayed, as it was asked to; or an item of a step that lacks a part. */
export class RunError extends Error {
  override readonly name = 'RunError';
  readonly code: RunErrorCode;

  constructor(code: RunErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
