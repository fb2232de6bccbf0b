export type RunErrorCode = 'TRAINING_CONFIG_INVALID' | 'TRAINING_REPLAY_UNFIT' | 'TRAINING_ITEM_INCOMPLETE';

/** A configuration or a replay that cannot be done as asked, or an item of a step that lacks a part. */
export class RunError extends Error {
  override readonly name = 'RunError';
  readonly code: RunErrorCode;

  constructor(code: RunErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

const MISTAKES =
  /^(RUN_(SOURCE|DATA|MODEL|MEMORY|SCORER)|DATA_|MODEL_|TRAINING_(CONFIG_INVALID|REPLAY_UNFIT|MODELS_DIFFER)$|EVALUATION_(ONE_CLASS|BAD_LABEL|EMPTY)$)/;

/** Whether the code of a run's failure means that its configuration, models or data are at fault, and not the services. */
export const isMistake = (code: string): boolean => MISTAKES.test(code);
