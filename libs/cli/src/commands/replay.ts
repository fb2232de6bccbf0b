import type { Client } from '../client.js';
import { CliError } from '../errors.js';
import { parseChange } from '../replay/changes.js';
import { planReplay } from '../replay/plan.js';
import { compareVersions, differs, versionsOf } from '../replay/versions.js';
import { showRun } from '../show-run.js';
import { openPlace, type Where } from '../where.js';

export interface ReplayOptions extends Where {
  readonly as?: string;
  /** As `path=value`; none: the run is to come out as it was. */
  readonly set: readonly string[];
  readonly signal: AbortSignal;
}

/**
 * Trains again on what a run logged, as a run of its own, and compares every version with that run's; with changes to
 * its hyperparameters there is nothing to compare.
 * @throws CliError CLI_REPLAY_DIFFERS naming the first version that did not come out the same.
 */
export async function replay(run: string, { as, set, signal, ...where }: ReplayOptions): Promise<void> {
  const changes = set.map(parseChange);
  const config = await withPlace({ ...where, attach: true }, ({ events }) =>
    planReplay(events, { run, as, changes }),
  );
  await withPlace(where, async (place) => {
    await showRun(place, config, `replay of ${run} as ${config.run}`, signal);
    if (changes.length === 0) await compare(place, run, config.run);
  });
}

async function compare({ events }: Pick<Client, 'events'>, run: string, replay: string): Promise<void> {
  const before = await versionsOf(events, run);
  const all = compareVersions(before, await versionsOf(events, replay));
  console.log('');
  for (const comparison of all) {
    const { version, before, after } = comparison;
    const line = `version ${version}`.padEnd(14);
    if (differs(comparison)) {
      console.log(`${line}${after ?? 'none'}  differs: it was ${before}`);
      throw new CliError(
        'CLI_REPLAY_DIFFERS',
        `expected every version of run ${run} to come out the same, version ${version} did not`,
      );
    }
    console.log(`${line}${after}  ${before === undefined ? 'not on the log' : 'the same'}`);
  }
  const compared = all.filter(({ before }) => before !== undefined).length;
  console.log(`\n${compared} of ${all.length} versions of run ${run} compared: all came out the same.`);
}

async function withPlace<T>(
  where: Where,
  work: (place: Awaited<ReturnType<typeof openPlace>>) => Promise<T>,
): Promise<T> {
  const place = await openPlace(where);
  try {
    return await work(place);
  } finally {
    await place.close();
  }
}
