/** The folder of an experiment: new for a new one, kept for one that goes on. */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CliError } from '../errors.js';
import type { RecipeOptions } from './recipe.js';

/** Marks a folder as a quickstart's, and says of which experiment. */
const MARKER = 'quickstart.json';

/**
 * @throws CliError CLI_DIRECTORY_FOREIGN for a folder that is somebody else's; CLI_NOTHING_TO_RESUME when there is no
 *   experiment, or another one.
 */
export async function openDirectory(
  directory: string,
  options: RecipeOptions,
  resume: boolean,
): Promise<void> {
  const found = await readMarker(directory);
  const wanted = JSON.stringify(options);
  if (resume) {
    if (found === wanted) return;
    const what = found === undefined ? 'no experiment' : `an experiment with other options: ${found}`;
    throw new CliError(
      'CLI_NOTHING_TO_RESUME',
      `expected ${directory} to hold this experiment, ${wanted}; it holds ${what}`,
    );
  }
  if (found === undefined && (await entriesOf(directory)).length > 0) {
    throw new CliError(
      'CLI_DIRECTORY_FOREIGN',
      `expected ${directory} to be empty or an earlier quickstart's: name another with --directory`,
    );
  }
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, MARKER), wanted);
}

async function readMarker(directory: string): Promise<string | undefined> {
  try {
    return await readFile(join(directory, MARKER), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function entriesOf(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
