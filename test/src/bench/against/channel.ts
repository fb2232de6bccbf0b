/** Requests and answers between the bench and a process that is measured: a line of JSON each, over a pipe of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import { withDeadline } from '@rlhf-streams/waiting';
import type { Workload } from './workload.js';

/** The number of the pipe, beside the standard three. */
const CHANNEL = 3;

/** `open` prepares a workload, `run` measures it once and answers its milliseconds, `close` lets it go. */
export type Request =
  | { readonly do: 'open'; readonly workload: Workload }
  | { readonly do: 'run' }
  | { readonly do: 'close' };
export type Answer = { readonly ms?: number } | { readonly error: string };

/** A program that is measured, in a process of its own. */
export interface Competitor {
  readonly name: string;
  readonly pid: number;
  open(workload: Workload): Promise<void>;
  /** Milliseconds of one update, step or generation. */
  run(): Promise<number>;
  close(): Promise<void>;
  /** Ends the process. */
  end(): Promise<void>;
}

const ANSWER_LIMIT_MS = 10 * 60_000;
const END_LIMIT_MS = 10_000;

/** Starts a process that answers requests; what it prints goes to the standard error. */
export function startCompetitor(name: string, command: string, args: readonly string[]): Competitor {
  const child = spawn(command, args, { stdio: ['ignore', process.stderr, process.stderr, 'pipe'] });
  const channel = child.stdio[CHANNEL] as Duplex;
  const lines = createInterface({ input: channel })[Symbol.asyncIterator]();
  channel.on('error', () => {});
  const failed = new Promise<never>((_, reject) => child.once('error', reject));
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  failed.catch(() => {});

  const ask = async (request: Request): Promise<Answer> => {
    channel.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await withDeadline(Promise.race([lines.next(), failed]), {
      ms: ANSWER_LIMIT_MS,
      late: `${name} to ${request.do}`,
    });
    if (done) throw new Error(`${name} ended when asked to ${request.do}: see what it printed above`);
    const answer = JSON.parse(value) as Answer;
    if ('error' in answer) throw new Error(`${name} could not ${request.do}: ${answer.error}`);
    return answer;
  };
  return {
    name,
    pid: child.pid!,
    open: async (workload) => void (await ask({ do: 'open', workload })),
    run: async () => ((await ask({ do: 'run' })) as { ms: number }).ms,
    close: async () => void (await ask({ do: 'close' })),
    end: () => end(child, channel, ended),
  };
}

async function end(child: ChildProcess, channel: Duplex, ended: Promise<void>): Promise<void> {
  channel.end();
  await withDeadline(ended, { ms: END_LIMIT_MS, late: 'a measured process to end' }).catch(() => {
    child.kill('SIGKILL');
  });
}

/** What a process opens for a workload. */
export interface Opened {
  run(): Promise<number>;
  close(): Promise<void>;
}

/** Answers requests until the other end closes the pipe. */
export async function answerRequests(openWorkload: (workload: Workload) => Promise<Opened>): Promise<void> {
  const channel = new Socket({ fd: CHANNEL });
  let opened: Opened | undefined;
  const answer = async (request: Request): Promise<Answer> => {
    if (request.do === 'open') opened = await openWorkload(request.workload);
    else if (request.do === 'run') return { ms: await opened!.run() };
    else await opened?.close();
    return {};
  };
  for await (const line of createInterface({ input: channel })) {
    const said = await answer(JSON.parse(line)).catch((error) => ({ error: String(error?.stack ?? error) }));
    channel.write(`${JSON.stringify(said)}\n`);
  }
}
