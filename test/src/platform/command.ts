/** The command `rlhf-streams` in a folder, as a process of its own or in this one. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const entry = import.meta.resolve('rlhf-streams');
const bin = fileURLToPath(new URL('../bin/rlhf-streams.js', entry));

/** A process that does a command in a folder. */
export const commandProcess = (cwd: string, words: readonly string[]): Promise<Ended> =>
  new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [bin, ...words],
      { cwd, timeout: 100_000 },
      (_, stdout, stderr) => resolve({ code: child.exitCode, stdout, stderr }),
    );
  });

/** Does a command that starts no service in this process, which has loaded the modules already. */
export const command: (cwd: string, words: readonly string[]) => Promise<Ended> = (
  await import(new URL('./command.test.support.js', entry).href)
).command;
