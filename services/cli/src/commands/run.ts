import { onlyMeasures } from '@rlhf-streams/runs';
import { openPlace, type Where } from '../place/where.js';
import { checkSources } from '../runs/check-sources.js';
import { isThere } from '../runs/follow-run.js';
import { readRunFile } from '../runs/run-file.js';
import { showRun } from '../runs/show-run.js';

/**
 * Requests the runs of a file, one after another, and follows each to its end. A run that the log has already goes on.
 */
export async function run(file: string, options: Where & { readonly signal: AbortSignal }): Promise<void> {
  const configs = await readRunFile(file);
  const place = await openPlace(options);
  try {
    console.log(`${place.description}\n`);
    // The first run reports by itself what it cannot read. Services elsewhere have other files than this machine.
    if (!options.attach) {
      const [, ...later] = configs;
      const there = await Promise.all(later.map(({ run }) => isThere(place, run, options.signal)));
      await checkSources(later.filter((_, index) => !there[index]));
    }
    for (const config of configs) {
      await showRun(place, config, `${config.method} ${config.run}`, options.signal);
      if (!onlyMeasures(config)) console.log(exportHint(config.run, options));
    }
  } finally {
    await place.close();
  }
}

/** How to get the model that a run made, as a command for this machine's shell. */
function exportHint(run: string, { directory, brokers }: Where): string {
  const log = brokers ? ` --brokers ${brokers}` : '';
  const folder = /^[\w./-]+$/.test(directory) ? directory : `'${directory.replaceAll("'", "'\\''")}'`;
  return `Export its model with: npx rlhf-streams export ${run} models/${run} --directory ${folder}${log}`;
}
