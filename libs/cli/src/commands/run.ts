import { readRunFile } from '../run-file.js';
import { showRun } from '../show-run.js';
import { openPlace, type Where } from '../where.js';

/** Starts the runs of a file, one after another, and follows each to its end; a run the log has goes on. */
export async function run(file: string, options: Where & { readonly signal: AbortSignal }): Promise<void> {
  const configs = await readRunFile(file);
  const place = await openPlace(options);
  try {
    console.log(`${place.description}\n`);
    for (const config of configs)
      await showRun(place, config, `${config.method} ${config.run}`, options.signal);
  } finally {
    await place.close();
  }
}
