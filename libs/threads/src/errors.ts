export type ThreadErrorCode = 'THREAD_EXITED' | 'THREAD_CLOSED' | 'THREAD_UNKNOWN_CALL';

/** A call that got no answer, because of the thread and not of the work. */
export class ThreadError extends Error {
  override readonly name = 'ThreadError';
  readonly code: ThreadErrorCode;

  constructor(code: ThreadErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
