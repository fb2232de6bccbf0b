/** The command as a process of its own, as people start it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, vi } from 'vitest';

const bin = fileURLToPath(new URL('../bin/rlhf-streams.js', import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly pid: number;
  /** Resolves when its standard output has matched. */
  said(what: RegExp): Promise<RegExpExecArray>;
  kill(signal: NodeJS.Signals): void;
  readonly ended: Promise<Ended>;
}

/** The environment without the test runner's own variables. */
const environment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(npm_|KAFKA_|RLHF_|PORT$|HOST$|FORCE_COLOR$)/.test(name),
    ),
  );

export function start(
  program: string,
  args: readonly string[],
  { cwd, env = {} }: { readonly cwd: string; readonly env?: NodeJS.ProcessEnv },
): Started {
  const child = spawn(program, args, {
    cwd,
    env: { ...environment(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, stdout, stderr }));
  return {
    pid: child.pid!,
    said: (what) =>
      vi.waitFor(
        () => {
          const match = what.exec(stdout);
          if (match) return match;
          // A process that has ended will say no more.
          expect(child.exitCode, `${what} was not said before the end: ${stdout}${stderr}`).toBeNull();
          throw new Error(`expected ${what}, got ${stdout}${stderr}`);
        },
        { timeout: 120_000, interval: 20 },
      ),
    kill: (signal) => void child.kill(signal),
    ended,
  };
}

export const startCommand = (cwd: string, args: readonly string[], env?: NodeJS.ProcessEnv): Started =>
  start(process.execPath, [bin, ...args], { cwd, ...(env && { env }) });
