/** The folder of an experiment: new for a new one, kept for one that goes on, and never cleared unasked. */
import { mkdir, readdir, readFile, realpath, rename, rm } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { hasCode, isFile, unlessMissing, writeFileAtomically } from '@rlhf-streams/files';
import { type EventLog, embeddedLog } from '@rlhf-streams/log';
import { NewModel } from '@rlhf-streams/runs';
import type { RecipeOptions } from '@rlhf-streams/sentiment';
import { z } from 'zod';
import { CliError } from '../errors.js';

/** The file that marks a folder as a quickstart's, and names its experiment. */
const MARKER = 'quickstart.json';
/** The file that is written when the experiment is finished. */
const REPORT = 'report.html';
const LOG = 'log';

const Experiment = z.strictObject({
  data: z.string(),
  seed: z.int(),
  architecture: NewModel.shape.architecture,
  lora: z.boolean().default(false),
  short: z.boolean().default(false),
  allow: z.strictObject({ cut: z.number().optional(), dropped: z.number().optional() }).optional(),
});

export interface DirectoryOptions {
  /** Goes on with the experiment that is there. */
  readonly resume: boolean;
  /** Replaces the experiment that is there. */
  readonly force: boolean;
}

/** What a folder holds; `others` stands for files that no quickstart wrote. */
type Found = 'nothing' | 'others' | { readonly experiment: RecipeOptions; readonly finished: boolean };

/** A folder for each experiment. */
export const defaultDirectory = (options: RecipeOptions): string => join('runs', partsOf(options).join('-'));

const MOST_OF_A_NAME = 100;

/** What the experiment is called on the log, wherever its folder is. */
export const nameOf = (options: RecipeOptions): string =>
  partsOf(options).join('-').toLowerCase().slice(0, MOST_OF_A_NAME);

/** What makes an experiment differ from the plain one. */
const partsOf = ({ data, seed, architecture = 'gpt2', lora, short, allow = {} }: RecipeOptions): string[] => [
  'quickstart',
  ...(architecture === 'gpt2' ? [] : [architecture]),
  ...(lora ? ['lora'] : []),
  ...(short ? ['short'] : []),
  ...(data === 'bundled'
    ? []
    : [
        basename(data)
          .replace(/\..*$/, '')
          .replace(/[^\w-]+/g, '-') || 'data',
      ]),
  ...(seed === 0 ? [] : [`seed-${seed}`]),
  ...Object.entries(allow).map(([what, share]) => `${what}-${share}`),
];

/**
 * What `open` opens on the embedded log of the experiment's folder. The lock of the log keeps every other process from
 * starting, resuming or replacing the experiment, and nothing in the folder is changed before this process holds it.
 * When opening fails, the log is closed, and a new experiment leaves nothing behind: it may begin again.
 *
 * @throws as `open` does; LogError LOG_LOCKED when another process is at work in the folder. CliError CLI_EXPERIMENT_EXISTS for a
 *   folder with an experiment, unless it is to go on or be replaced; CLI_NOTHING_TO_RESUME when there is none to go on
 *   with, or another one; CLI_DIRECTORY_FOREIGN for a folder that is somebody else's, which is never cleared.
 */
export async function openDirectory<T>(
  directory: string,
  wanted: RecipeOptions,
  options: DirectoryOptions,
  open: (log: EventLog) => Promise<T>,
): Promise<T> {
  const log = await lockDirectory(directory, wanted, options);
  try {
    return await open(log);
  } catch (error) {
    if (!options.resume) await forget(directory);
    await log.close();
    throw error;
  }
}

async function lockDirectory(
  directory: string,
  wanted: RecipeOptions,
  options: DirectoryOptions,
): Promise<EventLog> {
  // Taking the lock writes into the folder: a foreign one, or one without anything to resume, is refused before.
  const before = await look(directory);
  if (before === 'others') throw foreign(directory);
  if (before === 'nothing' && options.resume) throw nothingToResume(directory, wanted, before);
  const log = await embeddedLog({ directory: join(directory, LOG) });
  try {
    const found = await look(directory);
    if (found === 'others') throw foreign(directory);
    if (options.resume) {
      if (found === 'nothing' || !isSame(found.experiment, wanted))
        throw nothingToResume(directory, wanted, found);
      return log;
    }
    if (found === 'nothing') {
      await mark(directory, wanted);
      return log;
    }
    if (!options.force) throw exists(directory, wanted, found);
  } catch (error) {
    await log.close();
    throw error;
  }
  return replace(directory, wanted, log);
}

/**
 * Makes the folder for the results of an experiment whose runs are on a shared log, and returns what `open` opens.
 * Nothing is written when opening fails.
 * @throws CliError CLI_EXPERIMENT_EXISTS when the folder holds those of another experiment.
 */
export async function shareDirectory<T>(
  directory: string,
  wanted: RecipeOptions,
  open: () => Promise<T>,
): Promise<T> {
  const found = await look(directory);
  if (typeof found === 'object' && !isSame(found.experiment, wanted)) throw exists(directory, wanted, found);
  const opened = await open();
  await mkdir(directory, { recursive: true });
  if (found === 'nothing') await mark(directory, wanted);
  return opened;
}

/**
 * The old folder is moved away in one step while its log is still locked: another process finds it whole, or not at
 * all.
 */
async function replace(directory: string, wanted: RecipeOptions, held: EventLog): Promise<EventLog> {
  const place = await realpath(directory);
  const old = `${place}.replaced-${process.pid}`;
  await rename(place, old).finally(() => held.close());
  const log = await embeddedLog({ directory: join(place, LOG) });
  try {
    await mark(place, wanted);
    await rm(old, { recursive: true });
    return log;
  } catch (error) {
    await log.close();
    throw error;
  }
}

async function look(directory: string): Promise<Found> {
  const entries = await unlessMissing(readdir(directory)).catch((error) => {
    if (hasCode(error, 'ENOTDIR')) return 'a file' as const;
    throw error;
  });
  if (entries === 'a file') return 'others';
  const marker = await unlessMissing(readFile(join(directory, MARKER), 'utf8'));
  if (marker === undefined) {
    // Another quickstart that has just begun, or `topics apply`, leaves a log and nothing else.
    return (entries ?? []).every((entry) => entry === LOG) ? 'nothing' : 'others';
  }
  const experiment = Experiment.safeParse(parsed(marker));
  if (!experiment.success) return 'others';
  const finished = await isFile(join(directory, REPORT));
  return { experiment: experiment.data as RecipeOptions, finished };
}

/** Leaves of an experiment that has not begun its log, which holds no runs. The marker goes last: without it the folder would count as somebody else's. */
async function forget(directory: string): Promise<void> {
  const left = (await readdir(directory)).filter((entry) => entry !== LOG && entry !== MARKER);
  for (const entry of [...left, MARKER]) await rm(join(directory, entry), { recursive: true });
}

/** Marks the folder, atomically: with a marker cut short the folder would count as somebody else's. */
const mark = (directory: string, experiment: RecipeOptions): Promise<void> =>
  writeFileAtomically(join(directory, MARKER), JSON.stringify(experiment));

/**
 * Writes the report unless the experiment has one: the time it states is that of the experiment, not of a look at it.
 */
export async function writeReport(directory: string, html: string): Promise<string> {
  const path = join(resolve(directory), REPORT);
  if (!(await isFile(path))) await writeFileAtomically(path, html);
  return path;
}

const parsed = (json: string): unknown => {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
};

const isSame = (a: RecipeOptions, b: RecipeOptions): boolean =>
  isDeepStrictEqual(Experiment.parse(a), Experiment.parse(b));

/** An experiment as the options of the command that asks for it. */
function inWords({ data, seed, architecture = 'gpt2', lora, short, allow = {} }: RecipeOptions): string {
  const limits = Object.entries(allow).map(([what, share]) => `${what}=${share}`);
  return [
    `--data ${data} --seed ${seed}`,
    ...(architecture === 'gpt2' ? [] : [`--architecture ${architecture}`]),
    ...(lora ? ['--lora'] : []),
    ...(short ? ['--short'] : []),
    ...(limits.length > 0 ? [`--allow ${limits.join(',')}`] : []),
  ].join(' ');
}

function exists(directory: string, wanted: RecipeOptions, found: Exclude<Found, string>): CliError {
  const where = resolve(directory);
  const state = found.finished
    ? `finished: its report is ${join(where, REPORT)}`
    : `not finished: --resume, with its options, goes on with it`;
  const message = isSame(found.experiment, wanted)
    ? `this experiment is there already, in ${where}, ${state}${found.finished ? '; --resume shows its results again' : ''}; --force starts it over`
    : `expected ${where} to be free for the experiment ${inWords(wanted)}, it holds another one, ${inWords(found.experiment)}, ${state}; name another folder with --directory, or replace that experiment with --force`;
  return new CliError('CLI_EXPERIMENT_EXISTS', message);
}

function nothingToResume(directory: string, wanted: RecipeOptions, found: Found): CliError {
  const what = typeof found === 'object' ? `another one: ${inWords(found.experiment)}` : 'no experiment';
  return new CliError(
    'CLI_NOTHING_TO_RESUME',
    `expected ${resolve(directory)} to hold the experiment ${inWords(wanted)}, it holds ${what}`,
  );
}

const foreign = (directory: string) =>
  new CliError(
    'CLI_DIRECTORY_FOREIGN',
    `expected ${resolve(directory)} to be new, empty or a quickstart's, it holds something else: name another folder with --directory`,
  );
