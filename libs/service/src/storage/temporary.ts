/** Folders for work under way, which outlive neither the work nor the process that does it. */
import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { isRunning, type Owner, thisProcess, unlessMissing } from '@rlhf-streams/files';

export interface TemporaryFolders {
  /** Lets `work` use a new, empty folder, and removes it when the work has ended, however it ended. */
  use<T>(work: (folder: string) => Promise<T>): Promise<T>;
  /** Removes what processes left that were killed. What another machine left goes when it is a day old. */
  sweep(): Promise<void>;
}

const DAY_MS = 24 * 60 * 60 * 1000;

/** Temporary folders below `directory`, which processes and machines may share; made when first used. */
export function temporaryFolders(directory: string): TemporaryFolders {
  return {
    use: async (work) => {
      await mkdir(directory, { recursive: true });
      const folder = await mkdtemp(join(directory, `${nameOf({ host: hostname(), ...thisProcess() })},`));
      try {
        return await work(folder);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
    sweep: async () => {
      for (const name of (await unlessMissing(readdir(directory))) ?? []) {
        const path = join(directory, name);
        if (await isAbandoned(path, name)) await rm(path, { recursive: true, force: true });
      }
    },
  };
}

interface Maker extends Owner {
  readonly host: string;
}

async function isAbandoned(path: string, name: string): Promise<boolean> {
  const maker = makerOf(name);
  if (!maker) return false;
  if (maker.host === hostname()) return !isRunning(maker);
  const found = await unlessMissing(stat(path));
  return found !== undefined && Date.now() - found.mtimeMs > DAY_MS;
}

/** The beginning of a folder's name: the process that made it. */
const nameOf = ({ host, pid, started = '' }: Maker): string =>
  [host, `${pid}`, started].map(encodeURIComponent).join(',');

const NAME = /^((?:[^,%]|%[0-9A-F]{2})+),(\d+),((?:[^,%]|%[0-9A-F]{2})*),[^,]+$/;

/** The process that made a folder; undefined where the name is not one of `nameOf`. */
function makerOf(name: string): Maker | undefined {
  const [, host, pid, started] = NAME.exec(name) ?? [];
  if (host === undefined || started === undefined) return undefined;
  const life = started !== '' && { started: decodeURIComponent(started) };
  return { host: decodeURIComponent(host), pid: Number(pid), ...life };
}
