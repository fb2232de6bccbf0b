export type EventErrorCode = 'EVENT_INVALID' | 'EVENT_UNKNOWN_TYPE' | 'EVENT_NOT_JSON';

/** A record that is not the event it should be. */
export class EventError extends Error {
  override readonly name = 'EventError';
  readonly code: EventErrorCode;
  /** The record stays what it is. */
  readonly retriable = false;

  constructor(code: EventErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
