/** What a process takes. */
import { readFile } from 'node:fs/promises';

/** Peak of what a process has in memory, and its share of what it has now, in MB, where the system tells. */
export async function memoryOf(pid: number): Promise<string> {
  const read = async (file: string, name: string) => {
    const text = await readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '');
    return Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(text)?.[1]) / 1000);
  };
  const [peak, own, pss] = await Promise.all([
    read('status', 'VmHWM'),
    read('status', 'RssAnon'),
    read('smaps_rollup', 'Pss'),
  ]);
  return `peak RSS ${peak}, PSS ${pss}, private ${own}`;
}

/** Seconds of processor time that a process has taken, of all its threads, where the system tells. */
export async function processorSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The name, in parentheses, may have spaces. Linux counts hundredths of a second.
  const [user, system] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13)
    .map(Number);
  return (user! + system!) / 100;
}
