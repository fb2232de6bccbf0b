/** Measures cases one after another, each group in a process of its own, within a time. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { python } from '../../python/python.js';
import { byProcess, type Case } from './cases.js';
import { type GpuMemory, watchGpuMemory } from './gpu.js';
import type { Measured, Result } from './results.js';

export interface MeasureOptions {
  /** How long all of them may take. */
  readonly seconds: number;
  /** Ways that cannot be measured here, each with why. */
  readonly missing: Readonly<Partial<Record<Case['by'], string>>>;
  /** Called with each result as soon as it is there. */
  readonly onResult: (result: Result) => void;
}

/** No process is started for less: it would be ended while it loads. */
const LEAST_SECONDS = 10;

export async function measure(
  cases: readonly Case[],
  { seconds, missing, onResult }: MeasureOptions,
): Promise<Result[]> {
  const end = performance.now() + seconds * 1000;
  const memory = cases.some(({ device }) => device === 'cuda') ? watchGpuMemory() : undefined;
  const results: Result[] = [];
  const put = (result: Result) => {
    results.push(result);
    onResult(result);
  };
  try {
    for (const group of byProcess(cases)) {
      let left = group;
      // A process that ends takes no more than the case with it that it was at.
      while (left.length > 0) {
        const because =
          missing[left[0]!.by] ??
          (end - performance.now() < LEAST_SECONDS * 1000 ? `the ${seconds} s were over` : undefined);
        if (because !== undefined) {
          for (const one of left) put({ case: one, notRun: because });
          break;
        }
        left = left.slice(await inProcess(left, { end, memory, put }));
      }
    }
  } finally {
    memory?.stop();
  }
  return results;
}

interface Running {
  /** When all must be over, as `performance.now()` counts. */
  readonly end: number;
  readonly memory: GpuMemory | undefined;
  readonly put: (result: Result) => void;
}

/** The number of the pipe on which a process tells its results, a line of JSON each. */
const CHANNEL = 3;

/** The result of a case: its numbers, or why it has none. */
type Said = Measured | { readonly failed: string };

/** Starts a process for these cases. @returns how many there is a result of: the process may have ended before the last */
async function inProcess(cases: readonly Case[], { end, memory, put }: Running): Promise<number> {
  const child = start(cases);
  const errors = lastLines(child.stderr!);
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => resolve(`the process ended with ${signal ?? code}`));
  });
  let done = 0;
  let late: string | undefined;
  let timer: NodeJS.Timeout | undefined;
  const next = () => {
    clearTimeout(timer);
    memory?.takePeak();
    const one = cases[done];
    if (!one) return;
    const left = (end - performance.now()) / 1000;
    const limit = Math.max(0, Math.min(one.limitSeconds, left));
    timer = setTimeout(() => {
      late = left < one.limitSeconds ? 'the time was over' : `took longer than ${one.limitSeconds} s`;
      child.kill('SIGKILL');
    }, limit * 1000);
  };
  next();
  createInterface({ input: child.stdio[CHANNEL] as Readable }).on('line', (line) => {
    const said = JSON.parse(line) as Said;
    const gpuMb = memory?.takePeak();
    put({ case: cases[done++]!, ...said, ...(gpuMb !== undefined && { gpuMb }) });
    next();
  });
  const how = await ended;
  clearTimeout(timer);
  if (done === cases.length) return done;
  put({ case: cases[done]!, failed: late ?? [how, ...errors()].join('\n') });
  return done + 1;
}

const ourProcess = fileURLToPath(new URL('./computing-process.js', import.meta.url));
const pythonScript = fileURLToPath(new URL('../../../python/device.py', import.meta.url));

function start(cases: readonly Case[]): ChildProcess {
  const [{ by, precision }] = cases as readonly [Case];
  const [command, script] = by === 'ours' ? [process.execPath, ourProcess] : [python, pythonScript];
  return spawn(command, [script, JSON.stringify(cases)], {
    stdio: ['ignore', process.stderr, 'pipe', 'pipe'],
    env: {
      ...process.env,
      TF_FORCE_GPU_ALLOW_GROWTH: 'true',
      HF_HUB_OFFLINE: '1',
      ...(precision === 'strict' && by === 'ours' && { NVIDIA_TF32_OVERRIDE: '0' }),
    },
  });
}

const LINES = 12;

/** Passes what a process complains of on, and remembers the end of it. */
function lastLines(stream: Readable): () => readonly string[] {
  const lines: string[] = [];
  createInterface({ input: stream }).on('line', (line) => {
    console.error(line);
    lines.push(line);
    if (lines.length > LINES) lines.shift();
  });
  return () => lines;
}
