/**
 * What went wrong, for code to branch on:
 * - `RUNTIME_INVALID`: an option that the bus cannot work with.
 * - `RUNTIME_SETTINGS`: environment variables, or a file that they name, are not as they should be.
 * - `RUNTIME_LISTEN`: the service's address cannot be had.
 * - `RUNTIME_STOP_TIMEOUT`: something did not end in the time that a service has to stop.
 * - `RUNTIME_STOP_FAILED`: something failed while a service stopped.
 * - `RUNTIME_STOPPED`: the service, or what belongs to it, was stopped meanwhile.
 * - `RUNTIME_PROJECTION`: a projection cannot go on.
 * - `RUNTIME_UNAVAILABLE`: what the work needs is out of reach for now; the work waits for it, however long that takes.
 *
 * A wait past its deadline has the code `RUNTIME_DEADLINE`, by DeadlineError of `@rlhf-streams/waiting`.
 */
export type RuntimeErrorCode =
  | 'RUNTIME_INVALID'
  | 'RUNTIME_SETTINGS'
  | 'RUNTIME_LISTEN'
  | 'RUNTIME_STOP_TIMEOUT'
  | 'RUNTIME_STOP_FAILED'
  | 'RUNTIME_STOPPED'
  | 'RUNTIME_PROJECTION'
  | 'RUNTIME_UNAVAILABLE';

export class RuntimeError extends Error {
  override readonly name = 'RuntimeError';
  readonly code: RuntimeErrorCode;
  /** Whether the work that met it should wait: see `isUnavailable`. */
  readonly unavailable: boolean;

  constructor(code: RuntimeErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.unavailable = code === 'RUNTIME_UNAVAILABLE';
  }
}

/** The stable code of anything thrown: its own `code`, else its name. */
export function codeOf(thrown: unknown): string {
  const { code, name } = (thrown ?? {}) as { code?: unknown; name?: unknown };
  if (typeof code === 'string' && code !== '') return code;
  return typeof name === 'string' && name !== '' ? name : 'UNKNOWN';
}

export const messageOf = (thrown: unknown): string =>
  thrown instanceof Error ? thrown.message : String(thrown);
