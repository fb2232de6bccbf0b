export type RuntimeErrorCode =
  | 'RUNTIME_INVALID'
  | 'RUNTIME_SETTINGS'
  | 'RUNTIME_LISTEN'
  | 'RUNTIME_STOP_TIMEOUT'
  | 'RUNTIME_STOP_FAILED'
  | 'RUNTIME_STOPPED'
  | 'RUNTIME_PROJECTION'
  /** What the work needs is out of reach for now: it is tried again, however long that takes. */
  | 'RUNTIME_UNAVAILABLE';

export class RuntimeError extends Error {
  override readonly name = 'RuntimeError';
  readonly code: RuntimeErrorCode;

  constructor(code: RuntimeErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
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
