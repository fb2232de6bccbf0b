/** A build of another revision of this repository, made once and kept. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export interface Build {
  /** What a table calls it. */
  readonly name: string;
  /** The folder of the checkout. */
  readonly root: string;
}

/** The checkout that this file belongs to. */
export const ownRoot = fileURLToPath(new URL('../../../../', import.meta.url));

const run = promisify(execFile);
const git = async (...args: string[]) => (await run('git', ['-C', ownRoot, ...args])).stdout.trim();

/** An install over a slow network, and a build. */
const LIMIT_MS = 20 * 60_000;

/**
 * Checks `revision` out, installs and builds it by its own script, into a folder of the user's cache (XDG_CACHE_HOME),
 * named after the commit. A build that was interrupted begins anew.
 */
export async function buildOf(revision: string): Promise<Build> {
  const commit = await git('rev-parse', '--verify', `${revision}^{commit}`).catch((cause) => {
    throw new Error(
      `expected --against to name a revision of the git repository ${ownRoot}, got ${revision}`,
      {
        cause,
      },
    );
  });
  const name = commit.slice(0, 7);
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  const root = join(cache, 'rlhf-streams', 'bench', commit);
  const built = join(root, '.built');
  if (existsSync(built)) return { name, root };

  console.error(`Building ${name} in ${root} …`);
  await rm(root, { recursive: true, force: true });
  await mkdir(root, { recursive: true });
  const archive = join(root, 'source.tar');
  await git('archive', '--output', archive, commit);
  await run('tar', ['-xf', archive, '-C', root]);
  await rm(archive);
  const env = { ...process.env, npm_config_prefer_offline: 'true' };
  await run(process.execPath, ['infra/setup.mjs'], { cwd: root, env, timeout: LIMIT_MS });
  await writeFile(built, '');
  return { name, root };
}
