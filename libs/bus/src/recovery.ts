/** What an error says of the same work done again: that it may succeed, that it will once others have mended something. */
import { EventError } from '@rlhf-streams/events';
import { z } from 'zod';
import { codeOf } from './errors.js';

/**
 * Whether the same work may succeed later. Not so: errors with `retriable: false`, and data that does not fit its
 * schema.
 */
export const isRetriable = (error: unknown): boolean =>
  (error as { retriable?: unknown })?.retriable !== false &&
  !(error instanceof EventError || error instanceof z.ZodError);

const UNAVAILABLE: ReadonlySet<string> = new Set([
  'LOG_UNAVAILABLE',
  'LOG_WRITE_FAILED',
  'LOG_DENIED',
  'ARTIFACT_TIMEOUT',
  'ARTIFACT_STORE_UNAVAILABLE',
  'ARTIFACT_STORE_REFUSED',
  'RUNTIME_UNAVAILABLE',
  // A newer build wrote it: the run waits for a service that is upgraded, rather than end.
  ...['ARTIFACT_TOO_NEW', 'RUN_ITEMS_TOO_NEW', 'TRAINING_CHECKPOINT_TOO_NEW'],
  // The operating system's: no room, no permission, a device that fails, too many open files.
  ...['ENOSPC', 'EDQUOT', 'EIO', 'EROFS', 'EACCES', 'EPERM', 'EMFILE', 'ENFILE', 'ESTALE'],
]);

/**
 * Whether `error` says that the log, the artifact store, the disk, or something else that others provide is out of
 * reach, full, forbidden, or of a newer build: to be mended from outside, after which the same work succeeds.
 */
export const isUnavailable = (error: unknown): boolean => UNAVAILABLE.has(codeOf(error));
