/** Failures of a run that are no fault of the services: it was asked for what cannot be. */

const CODES =
  /^(RUN_(SOURCE|DATA|MODEL|MEMORY)|DATA_|MODEL_|TRAINING_(CONFIG_INVALID|REPLAY_UNFIT|MODELS_DIFFER)$|EVALUATION_(ONE_CLASS|BAD_LABEL|EMPTY)$)/;

/** Whether the cause of a run's failure, by its code, is what the run was asked to do, or on what. */
export const isMistake = (code: string): boolean => CODES.test(code);
