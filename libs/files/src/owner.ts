import { readFileSync } from 'node:fs';
import { hasCode } from './missing.js';

/** The process that a file or folder belongs to: that has a log open, or made a temporary folder. */
export interface Owner {
  readonly pid: number;
  /** Names this life of the pid: the boot of the machine and the tick the process started at. Linux only. */
  readonly started?: string;
}

/** This process, to be written where others can ask later whether it still runs. */
export function thisProcess(): Owner {
  const started = startOf(process.pid);
  return { pid: process.pid, ...(started ? { started } : {}) };
}

/**
 * Whether the owner still runs. A pid alone does not tell: it is soon given to another process, and a restarted
 * container is pid 1 again.
 */
export function isRunning({ pid, started }: Owner): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (!hasCode(error, 'EPERM')) return false;
  }
  return process.platform !== 'linux' || started === undefined || startOf(pid) === started;
}

/** When process `pid` started; undefined where there is no /proc, or the process is gone or a zombie. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field is the command in parentheses, and may hold spaces and parentheses itself.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state, startTicks] = [fields[0], fields[19]];
    if (state === 'Z' || state === 'X') return undefined;
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()}/${startTicks}`;
  } catch {
    return undefined;
  }
}
