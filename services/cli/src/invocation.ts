/** The command line that this process was started with, as a person would give it again. */

/** How it was started: by `npm run quickstart`, by npx, or by its name. */
function program(environment: NodeJS.ProcessEnv): string {
  const { npm_command: command, npm_lifecycle_event: script } = environment;
  if (command === 'exec') return 'npx rlhf-streams';
  return command === 'run' && script === 'quickstart' ? 'npm run quickstart --' : 'rlhf-streams';
}

const PLAIN = /^[\w./:=,@%+-]+$/;
const quoted = (word: string): string => (PLAIN.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

/** What goes on with what was interrupted: a quickstart with `--resume`, other commands when given again. */
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
