import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

const TIME_LIMIT_MS = 3_600_000;

/** Whoever asks this process to end asks what it runs, so that it can clear up. */
const ended = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => ended.abort());

/**
 * Runs a command to its end.
 *
 * @returns What it wrote, to its standard output and to its standard error.
 * @throws Error with what it wrote, when it fails, takes an hour, or this process is asked to end.
 */
export async function run(command, args, options = {}) {
  const child = spawn(command, args, {
    ...options,
    stdio: ['ignore', 'pipe', 'pipe'],
    signal: AbortSignal.any([ended.signal, AbortSignal.timeout(TIME_LIMIT_MS)]),
  });
  const [output, errors, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ]);
  if (code === 0) return { output, errors };
  throw new Error(`${command} failed: ${[command, ...args].join(' ')}\n${output}${errors}`);
}
