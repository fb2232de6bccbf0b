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
