import type { Client } from '../client.js';
import { CliError } from '../errors.js';
import { parseChange } from '../replay/changes.js';
import { planReplay } from '../replay/plan.js';
import { changesTable, lastMetrics, metricsTable } from '../replay/tables.js';
import { type Comparison, compareVersions, differs, versionsOf } from '../replay/versions.js';
import { showRun } from '../show-run.js';
import { table } from '../table.js';
import { openPlace, openToLook, type Where } from '../where.js';

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
  const { source, config } = await using(openToLook(where), ({ events }) =>
    planReplay(events, { run, as, changes }),
  );
  await using(openPlace({ ...where, signal }), async (place) => {
    console.log(`${place.description}\n`);
    if (changes.length > 0) console.log(`${changesTable(source, config, changes)}\n`);
    await showRun(place, config, `replay of ${run} as ${config.run}`, signal);
    if (changes.length === 0) return compare(place, run, config.run);
    const [before, after] = [
      await lastMetrics(place.events, run),
      await lastMetrics(place.events, config.run),
    ];
    console.log(`\n${metricsTable([run, before], [config.run, after])}`);
  });
}

async function compare({ events }: Pick<Client, 'events'>, run: string, replay: string): Promise<void> {
  const before = await versionsOf(events, run);
  const all = compareVersions(before, await versionsOf(events, replay));
  const shown = all.slice(0, all.findIndex(differs) + 1 || all.length);
  console.log(`\n${table(shown.map(inWords))}`);
  const first = shown.find(differs);
  if (first) {
    throw new CliError(
      'CLI_REPLAY_DIFFERS',
      `expected every version of run ${run} to come out the same, version ${first.version} did not`,
    );
  }
  const compared = all.filter(({ before }) => before !== undefined).length;
  console.log(`\n${compared} of ${all.length} versions of run ${run} compared: all came out the same.`);
}

/** A version, what the replay published of it, and how that compares. */
function inWords(comparison: Comparison): string[] {
  const { version, before, after = 'none' } = comparison;
  const verdict = before === undefined ? 'not on the log' : 'the same';
  return [`version ${version}`, after, differs(comparison) ? `differs: it was ${before}` : verdict];
}

async function using<Opened extends Client, T>(
  opening: Promise<Opened>,
  work: (opened: Opened) => Promise<T>,
): Promise<T> {
  const opened = await opening;
  try {
    return await work(opened);
  } finally {
    await opened.close();
  }
}
