import { DeadlineError, withDeadline } from './deadline.js';

/**
 * Waits for `work`, but no longer than `ms` milliseconds: whether it ended in time.
 *
 * @throws what `work` throws in time; what it throws later nobody hears.
 * @example if (!(await within(5000, handlers))) warn('handlers still run');
 */
export async function within(ms: number, work: Promise<unknown>): Promise<boolean> {
  const late = new DeadlineError(`more than ${ms} ms passed`);
  try {
    await withDeadline(work, { ms, late: () => late });
    return true;
  } catch (error) {
    if (error === late) return false;
    throw error;
  }
}
