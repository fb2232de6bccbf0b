/** The command as a process of its own, as people start it, and in the process of the test. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { format } from 'node:util';
import { expect, vi } from 'vitest';
import { main } from './main.js';

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

/**
 * Does a command in this process, which has loaded its modules already: a process of its own takes a second of CPU time
 * for that. For commands that start no service and end by themselves; one at a time.
 */
export async function command(cwd: string, words: readonly string[]): Promise<Ended> {
  const written = { stdout: '', stderr: '' };
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      written[name] += text;
      return true;
    }),
  );
  const log = vi.spyOn(console, 'log').mockImplementation((...said) => {
    written.stdout += `${format(...said)}\n`;
  });
  const signals = ['SIGINT', 'SIGTERM'] as const;
  const listeners = signals.map((signal) => process.listeners(signal));
  const before = { directory: process.cwd(), env: process.env, exitCode: process.exitCode };
  process.chdir(cwd);
  process.env = environment();
  process.exitCode = undefined;
  try {
    await main(words);
    return { code: Number(process.exitCode ?? 0), ...written };
  } finally {
    process.chdir(before.directory);
    process.env = before.env;
    process.exitCode = before.exitCode;
    for (const [i, signal] of signals.entries())
      for (const listener of process.listeners(signal))
        if (!listeners[i]!.includes(listener)) process.off(signal, listener);
    for (const spy of [...spies, log]) spy.mockRestore();
  }
}
