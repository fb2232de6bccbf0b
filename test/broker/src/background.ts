import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { withDeadline } from '@rlhf-streams/waiting';
import { KafkaBrokerError } from './errors.js';

/** A program that does not keep this process alive, in a process group of its own, which a Ctrl-C does not reach. */
export interface BackgroundProcess {
  readonly stdin: Writable | null;
  readonly running: () => boolean;
  kill(signal: 'SIGTERM' | 'SIGKILL'): void;
  /**
   * Resolves when it has ended, to its exit code; to null when a signal ended it.
   * @throws KafkaBrokerError KAFKA_BROKER_FAILED when it has not after `ms` milliseconds.
   */
  ended(ms: number): Promise<number | null>;
}

/**
 * @param output the file descriptor that stdout and stderr go to.
 * @throws the system's error when it cannot be started.
 */
export async function runInBackground(
  command: string,
  args: readonly string[],
  { stdin = 'ignore', output = 'ignore' }: { stdin?: 'pipe' | 'ignore'; output?: number | 'ignore' },
): Promise<BackgroundProcess> {
  const child = spawn(command, args, { detached: true, stdio: [stdin, output, output] });
  let running = true;
  const exit = new Promise<number | null>((resolve) => {
    child.once('exit', (code) => {
      running = false;
      resolve(code);
    });
  });
  await once(child, 'spawn');
  child.unref();
  (child.stdin as Socket | null)?.unref();
  return {
    stdin: child.stdin,
    running: () => running,
    kill: (signal) => {
      child.kill(signal);
    },
    ended: async (ms) => {
      if (running) child.ref();
      const late = () =>
        new KafkaBrokerError(
          'KAFKA_BROKER_FAILED',
          `expected ${command} (process ${child.pid}) to end within ${ms} ms`,
        );
      return withDeadline(exit, { ms, late }).finally(() => child.unref());
    },
  };
}
