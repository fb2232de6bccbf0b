import { onlyMeasures, type RunConfig } from '@rlhf-streams/runs';
import { openPlace, type Place, type Where } from '../place/where.js';
import { checkSources } from '../runs/check-sources.js';
import { isThere } from '../runs/request-run.js';
import { type RunFile, readRunFile } from '../runs/run-file.js';
import { showExperiment } from '../runs/show-experiment.js';
import { showRun } from '../runs/show-run.js';

/**
 * Requests the runs of a file, those of an experiment together and others one after another, and follows each to its end.
 * A run that the log has already goes on.
 */
export async function run(path: string, options: Where & { readonly signal: AbortSignal }): Promise<void> {
  const file = await readRunFile(path);
  const { signal } = options;
  const place = await openPlace(options);
  try {
    console.log(`${place.description}\n`);
    // Services elsewhere have other files than this machine.
    if (!options.attach) await checkFiles(place, file, signal);
    const labelOf = ({ method, run }: RunConfig) => `${method} ${run}`;
    const completed = (config: RunConfig) => {
      if (!onlyMeasures(config)) console.log(exportHint(config.run, options));
    };
    if (file.experiment) return await showExperiment(place, file.experiment, { labelOf, completed }, signal);
    for (const config of file.runs) {
      await showRun(place, config, labelOf(config), signal);
      completed(config);
    }
  } finally {
    await place.close();
  }
}

/** Looks at the files of runs that are done after others. The first run of several reports by itself what it cannot read. */
async function checkFiles(place: Place, { experiment, runs }: RunFile, signal: AbortSignal): Promise<void> {
  const later = experiment ? runs : runs.slice(1);
  const there = await Promise.all(later.map(({ run }) => isThere(place, run, signal)));
  await checkSources(later.filter((_, index) => !there[index]));
}

/** How to get the model that a run made, as a command for this machine's shell. */
function exportHint(run: string, { directory, brokers }: Where): string {
  const log = brokers ? ` --brokers ${brokers}` : '';
  const folder = /^[\w./-]+$/.test(directory) ? directory : `'${directory.replaceAll("'", "'\\''")}'`;
  return `Export its model with: npx rlhf-streams export ${run} models/${run} --directory ${folder}${log}`;
}
