/** A command's failure for people: one line, and the code that the process exits with. */
import { isMistake } from '@rlhf-streams/runs';
import { CliError } from './errors.js';

/** Error codes of commands that were asked for what cannot be. `isMistake` knows those of runs. */
const REFUSALS =
  /^CLI_(FILE_|RUN_EXISTS|METHOD_UNKNOWN|EXPORT_REFUSED|REPLAY_REFUSED|GRACE_TOO_SHORT|LOG_PRIVATE|DIRECTORY_FOREIGN|NOTHING_|EXPERIMENT_EXISTS|DATA_UNFIT|CANNOT_LISTEN)|^(RUN_(ENDED|NOT_(FOUND|EXTENDABLE))|RUNTIME_SETTINGS|CONFIG_TOO_LARGE|BODY_TOO_LARGE)$/;

export interface Failure {
  /** The message, with the error's code where it does not name it already. */
  readonly text: string;
  readonly exitCode: 1 | 2 | 130;
}

/** A run that failed is reported under the code of its own cause, which says more than that it failed. */
export function failureOf(error: unknown): Failure {
  const { message } = error as { message: string };
  const code = codeOf(error);
  // An interruption is no failure: no code is shown.
  if (code === 'CLI_INTERRUPTED') return { text: message, exitCode: 130 };
  return {
    text: code === undefined || message.includes(`(${code})`) ? message : `${message} (${code})`,
    exitCode: code !== undefined && (REFUSALS.test(code) || isMistake(code)) ? 2 : 1,
  };
}

function codeOf(error: unknown): string | undefined {
  if (error instanceof CliError && error.code === 'CLI_RUN_FAILED' && error.cause) return codeOf(error.cause);
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? code : undefined;
}
