/** Stable codes of every error this package throws. */
export type DataErrorCode =
  | 'DATA_ARGUMENT_INVALID'
  | 'DATA_NOT_FOUND'
  | 'DATA_NOT_A_FILE'
  | 'DATA_UNREADABLE'
  | 'DATA_UNKNOWN_EXTENSION'
  | 'DATA_EMPTY'
  | 'DATA_TOO_LARGE'
  | 'DATA_GZIP_INVALID'
  | 'DATA_UTF8_INVALID'
  | 'DATA_JSON_INVALID'
  | 'DATA_CSV_INVALID'
  | 'DATA_PARQUET_INVALID'
  | 'DATA_ARROW_INVALID'
  | 'DATA_SPLIT_NEEDED'
  | 'DATA_ROW_INVALID'
  | 'DATA_COLUMN_MISSING'
  | 'DATA_UNKNOWN_FORMAT'
  | 'DATA_NEEDS_LABELS';

/** What went wrong with a dataset: the message names the place, what was expected and what came. */
export class DataError extends Error {
  readonly code: DataErrorCode;

  constructor(code: DataErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'DataError';
    this.code = code;
  }
}

/** Throws `DATA_ARGUMENT_INVALID` unless `value` is an integer in [`least`, `most`]. */
export function requireInteger(name: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new DataError(
      'DATA_ARGUMENT_INVALID',
      `${name}: expected an integer from ${least} to ${most}, got ${value}`,
    );
  }
}

/** A value's type in words for an error message: `null`, `a list`, `an object`, `a string`, `NaN`. */
export function typeInWords(value: unknown): string {
  if (value === null) return 'null';
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
