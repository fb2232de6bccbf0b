export interface Backoff {
  /** Milliseconds before the first retry; doubled at each further one. */
  readonly minMs: number;
  /** The longest wait, in milliseconds. */
  readonly maxMs: number;
}

/**
 * Milliseconds to wait before retry number `failures` (1, 2, ...), for loops that `retry` does not fit: those that try
 * again whatever was thrown, or that do something else between two attempts.
 *
 * @example await pause(backoff(failures, { minMs: 20, maxMs: 1000 }), signal); // 20, 40, 80, ... 1000, 1000
 */
export const backoff = (failures: number, { minMs, maxMs }: Backoff): number =>
  Math.min(maxMs, minMs * 2 ** (failures - 1));
