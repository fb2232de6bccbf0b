export { type Backoff, backoff } from './backoff.js';
export { type Deadline, DeadlineError, withDeadline } from './deadline.js';
export { FOREVER_MS, pause } from './pause.js';
export { type RetryOptions, retry } from './retry.js';
export { type LinkedSignal, linked, shareable, untilAborted } from './signals.js';
export { within } from './within.js';
