import { Command, InvalidArgumentError } from 'commander';
import color from 'picocolors';
import { CliError } from './errors.js';

const wholeNumber = (text: string): number => {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0)
    throw new InvalidArgumentError('expected a whole number of at least 0');
  return value;
};

/** Exit codes: 0 done; 1 failed; 2 asked for what cannot be; 3 done, but alignment did not work; 130 interrupted. */
const program = new Command('rlhf-streams')
  .description('Align language models from preferences, as a stream of events')
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  .showHelpAfterError();

program
  .command('quickstart')
  .description('SFT, reward model, PPO and DPO on review sentences, in a few minutes on two cores')
  .option('--data <file>', 'labelled text ({text, label} as .jsonl, .jsonl.gz, .json or .parquet)', 'bundled')
  .option('--seed <number>', 'the same seed gives the same weights', wholeNumber, 0)
  .option('--directory <folder>', 'where everything is written', 'runs/quickstart')
  .option('--resume', 'go on with what an interruption left', false)
  .option('--short', 'a tenth of the work: shows that everything runs, learns little', false)
  .action(async ({ data, seed, directory, resume, short }) => {
    const { quickstart } = await import('./quickstart/quickstart.js');
    const verdict = await quickstart({ data, seed, short, directory, resume, signal: interrupted() });
    if (!verdict.ok && !short) process.exitCode = 3;
  });

program
  .command('run')
  .description('start the runs of a YAML file, on the embedded log, and follow them to their end')
  .argument('<file>', 'one document a run')
  .option('--directory <folder>', 'where everything is written', 'runs/default')
  .action(async (file, { directory }) => {
    const { run } = await import('./commands/run.js');
    await run(file, { directory, signal: interrupted() });
  });

program
  .command('serve')
  .description('start all services in one process, on the embedded log, and wait')
  .option('--directory <folder>', 'where everything is written', 'runs/default')
  .action(async ({ directory }) => {
    const { serve } = await import('./commands/serve.js');
    await serve({ directory, signal: interrupted() });
  });

/** Aborts at the first SIGINT or SIGTERM; a second one ends the process at once. */
function interrupted(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(130);
      controller.abort(
        new CliError('CLI_INTERRUPTED', 'interrupted: what is done is kept, and can be gone on with'),
      );
    });
  }
  return controller.signal;
}

const REFUSALS = /^CLI_(FILE_|RUN_EXISTS|DIRECTORY_FOREIGN|NOTHING_TO_RESUME)/;

try {
  await program.parseAsync();
} catch (error) {
  const { code, message } = error as { code?: string; message: string };
  process.stderr.write(`${color.red('error')} ${message}${code ? ` (${code})` : ''}\n`);
  process.exitCode = code === 'CLI_INTERRUPTED' ? 130 : code && REFUSALS.test(code) ? 2 : 1;
}
