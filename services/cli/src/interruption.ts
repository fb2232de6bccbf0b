/** What interrupts a command: signals, and the end of the npm that started it. */
import { CliError } from './errors.js';

/**
 * One Ctrl-C may arrive twice within this time: the terminal signals all processes, and npm forwards what it receives.
 */
const SAME_SIGNAL_MS = 1000;
const PARENT_CHECK_MS = 500;
/** Usually services have stopped by then. */
const TOLD_AFTER_MS = 2000;

/** Aborts at the first SIGINT or SIGTERM; a second one ends the process at once. */
export function interrupted(): AbortSignal {
  const controller = new AbortController();
  let asked: number | undefined;
  const end = () => {
    asked ??= performance.now();
    const what = process.argv.includes('--attach')
      ? 'the services go on with it; to follow it again'
      : 'what is done is kept; to go on';
    controller.abort(new CliError('CLI_INTERRUPTED', `interrupted: ${what}: ${commandToGoOn()}`));
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      // To exit would wait for threads that compute, and terminate them within native code, which aborts the process.
      if (asked !== undefined && performance.now() - asked > SAME_SIGNAL_MS)
        process.kill(process.pid, 'SIGKILL');
      if (asked === undefined) setTimeout(tellWhatIsLeft, TOLD_AFTER_MS).unref();
      end();
    });
  }
  onOrphaned(end);
  return controller.signal;
}

const tellWhatIsLeft = () =>
  console.error('finishing what is being computed, 20 s at most; Ctrl-C again ends it at once');

/**
 * npx and npm run a command in a shell, to which they hand on a SIGTERM; the shell dies of it and tells nobody. A
 * process that they started ends with that shell. One that was started in another way outlives its shell, as with nohup.
 */
function onOrphaned(end: () => void): void {
  const parent = process.ppid;
  if (!process.env.npm_command) return;
  const check = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(check);
    end();
  }, PARENT_CHECK_MS).unref();
}

/** How this process was started: by `npm run quickstart`, by npx, or by its name. */
function program(environment: NodeJS.ProcessEnv): string {
  const { npm_command: command, npm_lifecycle_event: script } = environment;
  if (command === 'exec') return 'npx rlhf-streams';
  return command === 'run' && script === 'quickstart' ? 'npm run quickstart --' : 'rlhf-streams';
}

const PLAIN = /^[\w./:=,@%+-]+$/;
const quoted = (word: string): string => (PLAIN.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

/**
 * The command line that resumes what was interrupted: a quickstart needs `--resume`, other commands are given again.
 * @internal
 */
export function commandToGoOn(
  words: readonly string[] = process.argv.slice(2),
  environment: NodeJS.ProcessEnv = process.env,
): string {
  const how = program(environment);
  const [command, ...options] = words;
  const again =
    command === 'quickstart'
      ? ['--resume', ...options.filter((option) => option !== '--resume' && option !== '--force')]
      : options;
  const named = how.endsWith('--') ? [] : [command!];
  return [how, ...[...named, ...again].map(quoted)].join(' ');
}
