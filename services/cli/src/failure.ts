/** A command's failure for people: one line, and the code that the process exits with. */
import { isMistake } from '@rlhf-streams/runs';

/** Error codes of commands that were asked for what cannot be. `isMistake` knows those of runs. */
const REFUSALS =
  /^CLI_(FILE_|RUN_EXISTS|METHOD_UNKNOWN|EXPORT_REFUSED|REPLAY_REFUSED|GRACE_TOO_SHORT|LOG_PRIVATE|DIRECTORY_FOREIGN|NOTHING_|EXPERIMENT_EXISTS|DATA_UNFIT|CANNOT_LISTEN)|^(TENSOR_(ENGINE|DEVICE)_UNAVAILABLE|RUN_(ENDED|NOT_(FOUND|EXTENDABLE))|RUNTIME_SETTINGS|CONFIG_TOO_LARGE|BODY_TOO_LARGE)$/;

const REPORTED_BY_CAUSE: ReadonlySet<string> = new Set(['CLI_RUN_FAILED', 'THREAD_EXITED']);

export interface Failure {
  /** The message, with the error's code where it does not name it already. */
  readonly text: string;
  readonly exitCode: 1 | 2 | 130;
}

/** A run that failed, or a thread that died, is reported under the code of its cause, which says more than that it did. */
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
  const { code, cause } = error as { code?: unknown; cause?: unknown };
  if (typeof code !== 'string') return undefined;
  const ofCause = cause && REPORTED_BY_CAUSE.has(code) ? codeOf(cause) : undefined;
  return ofCause ?? code;
}
