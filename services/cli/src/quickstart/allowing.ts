import { CliError } from '../errors.js';

/** A run's refusal to lose so much of the data, which names a setting of runs, in the words of the quickstart's option. */
export function asOption(error: unknown): unknown {
  if (!(error instanceof CliError) || (error.cause as { code?: unknown })?.code !== 'RUN_DATA_LOST')
    return error;
  const message = error.message.replace(
    /allow: \{ ([^}]*) \}$/,
    (_, shares: string) => `--allow ${shares.replaceAll(': ', '=').replaceAll(', ', ',')}`,
  );
  return new CliError(error.code, message, { cause: error.cause });
}
