import { openPlace, openToLook, type Where } from '../place/where.js';
import { followRun } from '../runs/follow-run.js';
import { progressLine } from '../runs/progress.js';
import { extendRun } from '../runs/request-run.js';

export interface ExtendOptions extends Where {
  readonly steps?: number;
  readonly epochs?: number;
  readonly signal: AbortSignal;
}

/**
 * Lets a completed run go on to more steps, and follows it to its end.
 * @throws CliError CLI_NOTHING_THERE for a log that is not there; ProblemError with the gateway's code.
 */
export async function extend(run: string, { steps, epochs, signal, ...where }: ExtendOptions): Promise<void> {
  // Where nothing is, no log is begun.
  await (await openToLook(where)).close();
  const place = await openPlace({ ...where, signal });
  try {
    console.log(`${place.description}\n`);
    const { method } = await extendRun(place, run, { steps, epochs });
    const line = progressLine({ label: `${method!} ${run}`, method: method! });
    try {
      await followRun(place, run, line, signal);
      line.done();
    } catch (error) {
      if (signal.aborted) line.leave();
      else line.abandon();
      throw error;
    }
  } finally {
    await place.close();
  }
}
