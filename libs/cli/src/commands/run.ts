import { CliError } from '../errors.js';
import { startPlatform } from '../platform.js';
import { readRunFile } from '../run-file.js';
import { showRun } from '../show-run.js';

/** Starts the runs of a file, one after another, and follows each to its end; a run the log has goes on. */
export async function run(file: string, options: { directory: string; signal: AbortSignal }): Promise<void> {
  const configs = await readRunFile(file);
  const platform = await startPlatform({ directory: options.directory, environment: process.env });
  try {
    for (const config of configs) {
      await sameOrNew(platform, config);
      await showRun(platform, config, `${config.method} ${config.run}`, options.signal);
    }
  } finally {
    await platform.close();
  }
}

async function sameOrNew(
  { events }: Awaited<ReturnType<typeof startPlatform>>,
  config: object & { run: string },
): Promise<void> {
  for await (const event of events.readAll(['runs'])) {
    if (event.type !== 'run.requested' || event.data.run !== config.run) continue;
    if (JSON.stringify(event.data.config) === JSON.stringify(config)) return;
    throw new CliError(
      'CLI_RUN_EXISTS',
      `run ${config.run} exists with another configuration: give this one another name`,
    );
  }
}
