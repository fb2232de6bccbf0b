/** A service as a process of its own, which is started again whenever it ends by itself. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Environment, ReadyMessage } from '@rlhf-streams/service';
import { backoff } from '@rlhf-streams/waiting';
import { CliError } from '../errors.js';

export interface SupervisedOptions {
  /** The service's name; `@rlhf-streams/NAME/main` is what is run. */
  readonly service: string;
  readonly environment: Environment;
  /** What the process writes is added to this file. */
  readonly logFile: string;
}

export interface Supervised {
  readonly service: string;
  /** Where the service listens, or between two lives where it listened last. */
  readonly url: string;
  /** Process id of the running life; undefined between two lives. */
  readonly pid: number | undefined;
  /** Lives begun so far. */
  readonly lives: number;
  /** Sends a signal to the process. After SIGKILL another life begins. */
  kill(signal: NodeJS.Signals): void;
  /** Resolves when a life later than number `after` is ready; by default any life. */
  ready(after?: number): Promise<void>;
  /** Resolves, with the reason, when the service is given up: too many lives ended before they were ready. */
  readonly failed: Promise<CliError>;
  /** Ends the process for good. Idempotent. */
  stop(): Promise<void>;
}

/** A service has failed when this many lives in a row ended before they were ready. */
const MAX_STILLBORN = 5;
const RESTART_MS = 100;
const MAX_RESTART_MS = 5_000;
/** A service stops within 25 s: one that takes longer hangs, and is killed. */
const STOP_MS = 30_000;
const KEPT_OUTPUT_BYTES = 4_000;

export function supervise({ service, environment, logFile }: SupervisedOptions): Supervised {
  const main = fileURLToPath(import.meta.resolve(`@rlhf-streams/${service}/main`));
  const log = openSync(logFile, 'a+');
  const stopping = new AbortController();
  const waiting = new Set<() => void>();
  let child: ChildProcess | undefined;
  let url = '';
  let lives = 0;
  /** Number of the newest life that was ready. */
  let readyLife = 0;
  let fail: (error: CliError) => void;
  const failed = new Promise<CliError>((resolve) => {
    fail = resolve;
  });

  /** Runs one life to its end; resolves to words on how it ended. */
  async function live(): Promise<string> {
    const life = ++lives;
    const begin = fstatSync(log).size;
    child = spawn(process.execPath, [main], {
      env: environment as NodeJS.ProcessEnv,
      // Ctrl-C is for this process alone, which stops its services in order. They keep their own log, and learn by the
      // channel when this process is gone: however it ends, they end too.
      detached: true,
      windowsHide: true,
      stdio: ['ignore', log, log, 'ipc'],
    });
    child.on('message', (message) => {
      const { ready } = message as ReadyMessage;
      url = ready;
      readyLife = life;
      for (const look of [...waiting]) look();
    });
    const [code, signal] = (await once(child, 'exit').finally(() => {
      child = undefined;
    })) as [number | null, NodeJS.Signals | null];
    const how = signal ? `was ended by ${signal}` : `exited with code ${code}`;
    return `${how}; its last output:\n${endOf(log, begin)}`;
  }

  async function run(): Promise<void> {
    const restarts = backoff({ minDelayMs: RESTART_MS, maxDelayMs: MAX_RESTART_MS });
    for (let stillborn = 0; !stopping.signal.aborted; ) {
      const how = await live().catch((error: Error) => `could not be started: ${error.message}`);
      if (stopping.signal.aborted) return;
      const wasReady = readyLife === lives;
      stillborn = wasReady ? 0 : stillborn + 1;
      if (stillborn >= MAX_STILLBORN) {
        fail(new CliError('CLI_SERVICE_FAILED', `${service}, started ${stillborn} times in vain, ${how}`));
        return;
      }
      if (wasReady) restarts.reset();
      await restarts.pause(stopping.signal);
    }
  }

  async function stop(): Promise<void> {
    stopping.abort();
    const hung = setTimeout(() => child?.kill('SIGKILL'), STOP_MS);
    // A process that is stopped by SIGSTOP receives no SIGTERM before it goes on.
    child?.kill('SIGCONT');
    child?.kill('SIGTERM');
    await running;
    clearTimeout(hung);
    closeSync(log);
  }

  let stopped: Promise<void> | undefined;
  const running = run();
  return {
    service,
    get url() {
      return url;
    },
    get pid() {
      return child?.pid;
    },
    get lives() {
      return lives;
    },
    kill(signal) {
      child?.kill(signal);
    },
    async ready(after = 0) {
      await new Promise<void>((resolve, reject) => {
        const look = () => {
          if (readyLife <= after) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
        void failed.then(reject);
      });
    },
    failed,
    stop() {
      stopped ??= stop();
      return stopped;
    },
  };
}

/** The last KEPT_OUTPUT_BYTES bytes of a file, but nothing before offset `begin`. */
function endOf(file: number, begin: number): string {
  const end = fstatSync(file).size;
  const from = Math.max(begin, end - KEPT_OUTPUT_BYTES);
  const bytes = Buffer.alloc(end - from);
  const read = readSync(file, bytes, 0, bytes.length, from);
  return bytes.toString('utf8', 0, read);
}
