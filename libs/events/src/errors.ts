/** `EVENT_TOO_NEW`: a newer build wrote the event, by a version of its schema that this one does not know. */
export type EventErrorCode = 'EVENT_INVALID' | 'EVENT_UNKNOWN_TYPE' | 'EVENT_NOT_JSON' | 'EVENT_TOO_NEW';

/** A record that is not the event it should be. */
export class EventError extends Error {
  override readonly name = 'EventError';
  readonly code: EventErrorCode;

  constructor(code: EventErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
