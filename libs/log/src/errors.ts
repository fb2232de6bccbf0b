/** What an error's code means for the caller. */
interface Meaning {
  readonly unavailable?: boolean;
  readonly retriable?: boolean;
  readonly fenced?: boolean;
}

const MEANINGS = {
  /** The log, or the producer, was closed. */
  LOG_CLOSED: {},
  /** The folder of an embedded log holds something else, or a record is damaged. */
  LOG_CORRUPT: { retriable: false },
  /** The brokers do not know this user, or do not allow it what it asked for. */
  LOG_DENIED: { unavailable: true },
  /** A newer producer with the same transactional id exists: stop, another owner is at work. */
  LOG_FENCED: { fenced: true },
  /** An option or record that the log cannot take. */
  LOG_INVALID: { retriable: false },
  /** Another process, or this one, has the embedded log open. */
  LOG_LOCKED: {},
  /** A record is larger than `MAX_RECORD_BYTES`, or than its topic allows. */
  LOG_RECORD_TOO_LARGE: { retriable: false },
  /** A commit for a partition that belongs to another member by now. */
  LOG_REVOKED: {},
  /** A handler ran on past `revokeTimeoutMs`; its partition was handed over without it. */
  LOG_REVOKE_TIMEOUT: {},
  /** A newer build wrote the embedded log, in a format that this one does not know. */
  LOG_TOO_NEW: {},
  /** No broker answered within the deadline. */
  LOG_UNAVAILABLE: { unavailable: true },
  /** A topic or partition that `ensureTopics` was never asked for. */
  LOG_UNKNOWN_TOPIC: {},
  /** The disk, or a broker, refused a write; nothing of it was kept. */
  LOG_WRITE_FAILED: { unavailable: true },
} as const satisfies Readonly<Record<string, Meaning>>;

export type LogErrorCode = keyof typeof MEANINGS;

/** An error of the log, whichever adapter raised it. `code` is stable; the properties say what to do about it. */
export class LogError extends Error {
  readonly code: LogErrorCode;
  /** Brokers or the disk are out of reach, full or forbidden: the same work succeeds once that is mended from outside. */
  readonly unavailable: boolean;
  /** false: the same work fails however often it is done. */
  readonly retriable: boolean;
  /** Another writer took over, so this one must stop. */
  readonly fenced: boolean;

  constructor(code: LogErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'LogError';
    this.code = code;
    const { unavailable = false, retriable = true, fenced = false }: Meaning = MEANINGS[code];
    this.unavailable = unavailable;
    this.retriable = retriable;
    this.fenced = fenced;
  }
}

/** Reports an error that no caller waits for: Node prints it, and emits it as the process's `warning` event. */
export function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : String(error));
}
