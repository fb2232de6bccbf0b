/** The command: a sweep over methods and settings, judged at equal footing, and its frontier of reward against KL. */
import { resolve } from 'node:path';
import { hasEnded } from '@rlhf-streams/runs';
import { CliError } from '../errors.js';
import { openPlace, type Where } from '../place/where.js';
import { checkSources } from '../runs/check-sources.js';
import { table } from '../table.js';
import { carryOut } from './carry-out.js';
import { written } from './charts.js';
import { readFrontier } from './frontier-file.js';
import { type FrontierResults, measure } from './measure.js';
import { writeFrontier } from './outputs.js';
import { allRuns, runSetOf } from './plan.js';
import { sweepLines } from './progress.js';

export interface FrontierOptions extends Where {
  readonly parallel: number;
  readonly signal: AbortSignal;
}

/**
 * Carries out a frontier, or goes on with it, and writes what came out.
 * @throws CliError CLI_RUN_FAILED where runs failed, after everything else was done and written
 */
export async function frontier(path: string, options: FrontierOptions): Promise<void> {
  const { parallel, signal, directory } = options;
  const plan = await readFrontier(path);
  const place = await openPlace(options);
  try {
    console.log(`${place.description}\n`);
    // Services elsewhere have other files than this machine.
    if (!options.attach) await checkSources(allRuns(plan));
    const lines = sweepLines();
    const runs = await carryOut(place, runSetOf(plan), { parallel, signal, looked: lines.looked }).finally(
      lines.close,
    );
    const results = await measure(place, plan, runs.filter(hasEnded));
    console.log(`\n${frontsTable(results)}\n`);
    const paths = await writeFrontier(directory, results);
    console.log(table(paths.map((path, index) => [index === 0 ? 'Written' : '', path])));
    if (results.failed.length > 0) throw failure(results, directory);
  } finally {
    await place.close();
  }
}

/** A row for each member: the area under its front, and the best of its settings. */
function frontsTable({ fronts }: FrontierResults): string {
  const rows = fronts.map(({ member, area, points }) => {
    const best = points.at(-1);
    return [
      member,
      written(area),
      ...(best
        ? [
            best.setting || '-',
            String(best.step),
            written(best.reward),
            written(best.kl),
            written(best.length, 1),
          ]
        : ['-', '-', '-', '-', '-']),
    ];
  });
  return table(rows, {
    head: ['method', 'area under front', 'best setting', 'step', 'reward', 'KL', 'length'],
    right: [1, 3, 4, 5, 6],
  });
}

function failure({ failed }: FrontierResults, directory: string): CliError {
  const listed = failed.slice(0, 8).map(({ run, cause }) => `${run}: ${cause}`);
  const more = failed.length > listed.length ? [`and ${failed.length - listed.length} more`] : [];
  return new CliError(
    'CLI_RUN_FAILED',
    `${failed.length} runs did not complete; the others are in the results. The same command, with --directory ${resolve(directory)}, asks again for those that never started:\n  ${[...listed, ...more].join('\n  ')}`,
  );
}
