import { codeOf, messageOf, RuntimeError } from '@rlhf-streams/bus';
import { withDeadline } from '@rlhf-streams/waiting';

/** Something to end: `what` names it in errors. */
export interface StopStep {
  readonly what: string;
  readonly run: (signal: AbortSignal) => void | Promise<void>;
}

/**
 * Runs all steps in order within `totalMs`: each may take half of the time that is left, so that those after one
 * that hangs still have their turn. A step that fails keeps no other from running.
 * @throws RuntimeError RUNTIME_STOP_TIMEOUT naming what did not end, RUNTIME_STOP_FAILED naming what failed.
 */
export async function runStopSteps(steps: Iterable<StopStep>, totalMs: number): Promise<void> {
  const end = performance.now() + totalMs;
  const errors: { readonly what: string; readonly error: unknown }[] = [];
  for (const { what, run } of steps) {
    const left = Math.max(end - performance.now(), 0);
    try {
      await withDeadline(async (signal) => run(signal), { ms: Math.ceil(left / 2), late: `${what} to end` });
    } catch (error) {
      errors.push({ what, error });
    }
  }
  if (errors.length === 0) return;
  const cause = errors.length === 1 ? errors[0]!.error : new AggregateError(errors.map(({ error }) => error));
  const hanging = errors.filter(({ error }) => codeOf(error) === 'RUNTIME_DEADLINE').map(({ what }) => what);
  const failed = errors.map(({ what, error }) => `${what}: ${messageOf(error)}`).join('; ');
  if (hanging.length > 0)
    throw new RuntimeError('RUNTIME_STOP_TIMEOUT', `expected to stop within ${totalMs} ms: ${failed}`, {
      cause,
    });
  throw new RuntimeError('RUNTIME_STOP_FAILED', `could not stop cleanly: ${failed}`, { cause });
}
