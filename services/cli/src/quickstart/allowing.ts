import { CliError } from '../errors.js';

/** RUN_DATA_LOST names a run's setting (`allow: {…}`): the quickstart's user has an option for it (`--allow …`) instead. */
export function asOption(error: unknown): unknown {
  if (!(error instanceof CliError) || (error.cause as { code?: unknown })?.code !== 'RUN_DATA_LOST')
    return error;
  const message = error.message.replace(
    /allow: \{ ([^}]*) \}$/,
    (_, shares: string) => `--allow ${shares.replaceAll(': ', '=').replaceAll(', ', ',')}`,
  );
  return new CliError(error.code, message, { cause: error.cause });
}
