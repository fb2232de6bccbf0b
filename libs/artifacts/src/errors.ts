/**
 * What went wrong, for code to branch on:
 * - `ARTIFACT_NOT_FOUND`: no such artifact is stored, or there is no such folder to store.
 * - `ARTIFACT_CORRUPT`: stored bytes are not what the reference, or the manifest, says.
 * - `ARTIFACT_TIMEOUT`: the time was up; what was waited for is named.
 * - `ARTIFACT_BAD_NAME`: a file name that is not a safe relative path.
 * - `ARTIFACT_BAD_REF`: a reference without a SHA-256.
 * - `ARTIFACT_BAD_OPTION`: an option an adapter cannot work with.
 * - `ARTIFACT_EMPTY`: an artifact without files.
 * - `ARTIFACT_TOO_NEW`: a newer build stored it, in a format that this one does not know.
 * - `ARTIFACT_STORE_UNAVAILABLE`: the store could not be reached, or went on failing; later it may work.
 * - `ARTIFACT_STORE_REFUSED`: the store answered no (bucket, credentials, region); settings must change first.
 */
export type ArtifactErrorCode =
  | 'ARTIFACT_NOT_FOUND'
  | 'ARTIFACT_CORRUPT'
  | 'ARTIFACT_TIMEOUT'
  | 'ARTIFACT_BAD_NAME'
  | 'ARTIFACT_BAD_REF'
  | 'ARTIFACT_BAD_OPTION'
  | 'ARTIFACT_EMPTY'
  | 'ARTIFACT_TOO_NEW'
  | 'ARTIFACT_STORE_UNAVAILABLE'
  | 'ARTIFACT_STORE_REFUSED';

export class ArtifactError extends Error {
  override readonly name = 'ArtifactError';
  readonly code: ArtifactErrorCode;

  constructor(code: ArtifactErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export const isCorrupt = (error: unknown): boolean =>
  error instanceof ArtifactError && error.code === 'ARTIFACT_CORRUPT';
