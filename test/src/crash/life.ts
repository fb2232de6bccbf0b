/** A process that trains, and what its log was seen to hold until the process ended. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { EventType } from '@rlhf-streams/events';
import type { ExperimentInput, RunConfigInput } from '@rlhf-streams/runs';

/** An event by its place on the log: the same in every life. */
export interface Fact {
  readonly place: string;
  readonly type: EventType;
  /** For a policy version: its run, number and artifact. */
  readonly version?: string;
}

export interface Extension {
  readonly run: string;
  readonly steps: number;
}

export interface LifeOptions {
  /** Folder of the log and the artifacts; temporary files go beside it. */
  readonly directory: string;
  /** To be done one after another, or together. */
  readonly runs: readonly RunConfigInput[] | ExperimentInput;
  /** Runs that go on to more steps once all have completed. */
  readonly extensions?: readonly Extension[];
  /** What the log was seen to hold, by place; grows. */
  readonly facts: Map<string, Fact>;
  /** `signal` is sent `delayMs` milliseconds after the number of facts known has reached `facts`. */
  readonly end?: { readonly facts: number; readonly delayMs: number; readonly signal: NodeJS.Signals };
  /** Settings of the services, beside those that give each a thread. */
  readonly environment?: Readonly<Record<string, string>>;
  /** The process kills itself as soon as it reads that the run has completed the step. */
  readonly killedAfter?: StepOfRun;
}

export interface StepOfRun {
  readonly run: string;
  readonly step: number;
}

const TIMEOUT_MS = 240_000;
const trainer = fileURLToPath(new URL('./train.child.js', import.meta.url));

/**
 * How the process ended: `completed` by itself, or the signal that ended it.
 * @throws Error with what it wrote to standard error, when it failed or did not end in time.
 */
export async function live({
  directory,
  runs,
  extensions = [],
  facts,
  end,
  environment,
  killedAfter,
}: LifeOptions): Promise<'completed' | NodeJS.Signals> {
  const child = spawn(
    process.execPath,
    [
      trainer,
      directory,
      JSON.stringify(runs),
      JSON.stringify(extensions),
      ...(killedAfter ? [JSON.stringify(killedAfter)] : []),
    ],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...environment, TMPDIR: dirname(directory) },
      timeout: TIMEOUT_MS,
      killSignal: 'SIGABRT',
    },
  );
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  let ending: NodeJS.Timeout | undefined;
  let rest = '';
  for await (const text of child.stdout.setEncoding('utf8') as AsyncIterable<string>) {
    const lines = (rest + text).split('\n');
    rest = lines.pop()!;
    for (const line of lines) {
      const fact = JSON.parse(line) as Fact;
      facts.set(fact.place, fact);
    }
    if (end && facts.size >= end.facts) ending ??= setTimeout(() => child.kill(end.signal), end.delayMs);
  }
  const [code, signal] = await exited;
  clearTimeout(ending);
  if (code === 0) return 'completed';
  if (signal && signal === (killedAfter ? 'SIGKILL' : end?.signal)) return signal;
  throw new Error(`expected ${trainer} to complete, but it ended with ${signal ?? code}:\n${errors}`);
}

/** Every policy version that was published: run, number and artifact. */
export const versionsIn = (facts: ReadonlyMap<string, Fact>): string[] =>
  [...facts.values()].flatMap(({ version }) => version ?? []).sort();
