/** The GPU as the driver tells of it. */
import { execFileSync, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

const query = (fields: string): string[] => [
  `--query-gpu=${fields}`,
  '--format=csv,noheader,nounits',
  '--id=0',
];

/** Name, memory in MiB and driver of the GPU; undefined where there is none. */
export function gpuName(): string | undefined {
  try {
    return execFileSync('nvidia-smi', query('name,memory.total,driver_version'), {
      encoding: 'utf8',
      timeout: 20_000,
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return undefined;
  }
}

const EVERY_MS = 100;

export interface GpuMemory {
  /** The most that was in use since the last call, in MB, beyond what was in use at the start. */
  takePeak(): number | undefined;
  stop(): void;
}

/**
 * Watches the memory in use of the whole GPU, which one process at a time has for itself. That of TensorFlow is what its
 * allocator has grown to, which it does not give back.
 */
export function watchGpuMemory(): GpuMemory {
  const child = spawn('nvidia-smi', [...query('memory.used'), `--loop-ms=${EVERY_MS}`], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let [atStart, peak]: (number | undefined)[] = [];
  // Without the program there are no numbers, which the table shows.
  child.on('error', () => {});
  createInterface({ input: child.stdout }).on('line', (line) => {
    const used = Number(line) * 1.048576;
    if (!Number.isFinite(used)) return;
    atStart ??= used;
    peak = Math.max(peak ?? 0, used);
  });
  return {
    takePeak() {
      if (peak === undefined || atStart === undefined) return undefined;
      const taken = peak - atStart;
      peak = undefined;
      return Math.round(taken);
    },
    stop: () => void child.kill(),
  };
}
