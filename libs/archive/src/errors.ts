/**
 * - `RUN_ARCHIVE_TOO_NEW`: a newer build wrote the archive, in a format that this one does not know.
 */
export type ArchiveErrorCode = 'RUN_ARCHIVE_TOO_NEW';

/** An archive that cannot be read as it is. */
export class ArchiveError extends Error {
  override readonly name = 'ArchiveError';
  readonly code: ArchiveErrorCode;
  /** Others can mend it, by an upgrade: the work that met it waits until they have. */
  readonly unavailable = true;

  constructor(code: ArchiveErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
