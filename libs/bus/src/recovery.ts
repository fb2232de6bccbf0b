/**
 * What may become of the same work done again. Errors say so by two properties, whichever package they come from:
 * `unavailable: true` for what others must mend first, `retriable: false` for what cannot succeed.
 */
import { z } from 'zod';
import { codeOf } from './errors.js';

/** Whether the same work may succeed later; data that does not fit its schema will not. */
export const isRetriable = (error: unknown): boolean =>
  propertyOf(error, 'retriable') !== false && !(error instanceof z.ZodError);

/** The operating system's: no room, no permission, a device that fails, too many open files. */
const UNAVAILABLE_ERRNOS: ReadonlySet<string> = new Set([
  'ENOSPC',
  'EDQUOT',
  'EIO',
  'EROFS',
  'EACCES',
  'EPERM',
  'EMFILE',
  'ENFILE',
  'ESTALE',
]);

/**
 * Whether the log, the artifact store, the disk, or something else that others provide is out of reach, full,
 * forbidden, or of a newer build: it is mended from outside, after which the same work succeeds.
 */
export const isUnavailable = (error: unknown): boolean =>
  propertyOf(error, 'unavailable') === true || UNAVAILABLE_ERRNOS.has(codeOf(error));

const propertyOf = (error: unknown, name: 'unavailable' | 'retriable'): unknown =>
  (error as Partial<Record<string, unknown>> | null | undefined)?.[name];
