export type CliErrorCode =
  | 'CLI_FILE_UNREADABLE'
  | 'CLI_FILE_INVALID'
  | 'CLI_RUN_FAILED'
  | 'CLI_RUN_EXISTS'
  | 'CLI_SERVICE_FAILED'
  | 'CLI_REPLAY_REFUSED'
  | 'CLI_REPLAY_DIFFERS'
  | 'CLI_GRACE_TOO_SHORT'
  | 'CLI_LOG_PRIVATE'
  | 'CLI_DIRECTORY_FOREIGN'
  | 'CLI_NOTHING_TO_RESUME'
  | 'CLI_NOTHING_TO_REPLACE'
  | 'CLI_EXPERIMENT_EXISTS'
  | 'CLI_DATA_UNFIT'
  | 'CLI_EVALUATION_EMPTY'
  | 'CLI_NOTHING_THERE'
  | 'CLI_CANNOT_LISTEN'
  | 'CLI_METHOD_UNKNOWN'
  | 'CLI_EXPORT_REFUSED'
  | 'CLI_INTERRUPTED';

/** A command that cannot do what it was asked to. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly code: CliErrorCode;

  constructor(code: CliErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export const serviceFailed = (service: string, cause: unknown) =>
  new CliError(
    'CLI_SERVICE_FAILED',
    `service ${service} failed: ${cause instanceof Error ? cause.message : cause}`,
    { cause },
  );
