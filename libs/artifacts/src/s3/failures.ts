/** What the SDK throws, as errors that say what to do. */
import { ArtifactError } from '../errors.js';

interface SdkError extends Error {
  readonly code?: string;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly attempts?: number };
}

/** The errors of one store, at `url`, reached by `endpoint`. */
export function failuresOf(url: string, endpoint: string, region: string) {
  /** Throws what explains `error`; the signal's reason where it was aborted. */
  return (error: unknown, signal: AbortSignal): never => {
    signal.throwIfAborted();
    if (error instanceof ArtifactError) throw error;
    const { name, message, code, $metadata } = error as SdkError;
    const status = $metadata?.httpStatusCode;
    const refused = (advice: string): never => {
      throw new ArtifactError(
        'ARTIFACT_STORE_REFUSED',
        `expected to use ${url} at ${endpoint}, got ${name}: ${message.trim()} ${advice}`,
        { cause: error },
      );
    };
    if (name === 'CredentialsProviderError')
      refused('Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or another source the AWS SDK knows.');
    if (name === 'NoSuchBucket') refused('Create the bucket, or name another.');
    if (WRONG_REGION.has(name) || status === 301)
      refused(`Set AWS_REGION to the region of the bucket; it is ${region} now.`);
    if (status === 401 || status === 403 || WRONG_KEY.has(name))
      refused(
        'Check the credentials, and that they may list, read, write and delete objects of this bucket.',
      );
    if (status !== undefined && status >= 400 && status < 500 && status !== 408 && status !== 429)
      refused('The store does not take what an artifact needs.');

    const attempts = $metadata?.attempts ?? 1;
    throw new ArtifactError(
      'ARTIFACT_STORE_UNAVAILABLE',
      `expected ${url} at ${endpoint} to answer, got ${code ?? status ?? name}: ${message.trim()} ` +
        `(${attempts} ${attempts === 1 ? 'attempt' : 'attempts'}). Check the endpoint and the network, and try again.`,
      { cause: error },
    );
  };
}

const WRONG_REGION = new Set([
  'PermanentRedirect',
  'AuthorizationHeaderMalformed',
  'IllegalLocationConstraintException',
]);
/** Names of errors that mean wrong credentials: versitygw answers them with status 404. */
const WRONG_KEY = new Set(['InvalidAccessKeyId', 'XAdminUserNotFound']);

export const isNamed = (error: unknown, ...names: string[]): boolean =>
  error instanceof Error && names.includes(error.name);
