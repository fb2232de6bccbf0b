import { createLocalLog } from '../local/local-log.js';
import type { EventLog } from '../port.js';
import { deliveryFaults, type FaultOptions } from './faults.js';
import { memoryStore } from './memory-store.js';

export interface MemoryLogOptions {
  /** Decides every fault. Default 0. */
  readonly seed?: number;
  /** What goes wrong in delivery. Default nothing. */
  readonly faults?: FaultOptions;
  /** The clock of timestamps and retention. Default `Date.now`. */
  readonly now?: () => number;
}

/**
 * A log in memory, for tests: nothing survives it, and the same seed brings the same faults.
 *
 * @example const log = memoryLog({ seed: 7, faults: { duplicate: 0.2, crash: 0.1, reorder: true } });
 * @throws LogError LOG_INVALID for a probability outside 0 to 1.
 */
export function memoryLog({ seed = 0, faults, now = Date.now }: MemoryLogOptions = {}): EventLog {
  return createLocalLog(memoryStore(now), faults && deliveryFaults(seed, faults));
}
