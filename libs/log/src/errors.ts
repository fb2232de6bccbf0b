/**
 * What went wrong, for code to branch on:
 * - `LOG_CLOSED`: the log, or the producer, was closed.
 * - `LOG_CORRUPT`: the folder of an embedded log holds something else, or damaged data.
 * - `LOG_DENIED`: the brokers do not know this user, or do not allow it what it asked for.
 * - `LOG_FENCED`: a newer producer with the same transactional id exists.
 * - `LOG_INVALID`: an option or record the log cannot take.
 * - `LOG_LOCKED`: another process, or this one, has the embedded log open.
 * - `LOG_RECORD_TOO_LARGE`: a record over `MAX_RECORD_BYTES`.
 * - `LOG_REVOKED`: a commit for a partition that belongs to another member by now.
 * - `LOG_REVOKE_TIMEOUT`: a handler ran on past `revokeTimeoutMs`; its partition was handed over without it.
 * - `LOG_TOO_NEW`: a newer build wrote the embedded log, in a format that this one does not know.
 * - `LOG_UNAVAILABLE`: no broker answered within the deadline. The call may be made again.
 * - `LOG_UNKNOWN_TOPIC`: a topic or partition that `ensureTopics` was never asked for.
 * - `LOG_WRITE_FAILED`: the disk, or a broker, refused a write; nothing of it was kept.
 */
export type LogErrorCode =
  | 'LOG_CLOSED'
  | 'LOG_CORRUPT'
  | 'LOG_DENIED'
  | 'LOG_FENCED'
  | 'LOG_INVALID'
  | 'LOG_LOCKED'
  | 'LOG_RECORD_TOO_LARGE'
  | 'LOG_REVOKED'
  | 'LOG_REVOKE_TIMEOUT'
  | 'LOG_TOO_NEW'
  | 'LOG_UNAVAILABLE'
  | 'LOG_UNKNOWN_TOPIC'
  | 'LOG_WRITE_FAILED';

/** Others can mend these (a broker, a disk, a permission), after which the same call succeeds. */
const UNAVAILABLE: ReadonlySet<LogErrorCode> = new Set(['LOG_UNAVAILABLE', 'LOG_WRITE_FAILED', 'LOG_DENIED']);

/** An error of the log, whichever adapter raised it. */
export class LogError extends Error {
  readonly code: LogErrorCode;
  /** Whether the work that met it should wait until others have mended what is wrong. */
  readonly unavailable: boolean;

  constructor(code: LogErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'LogError';
    this.code = code;
    this.unavailable = UNAVAILABLE.has(code);
  }
}

/** For an error that no caller waits for: Node prints it, and it is the process's `warning` event. */
export function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : String(error));
}
