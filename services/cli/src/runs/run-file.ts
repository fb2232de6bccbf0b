/** Runs from a YAML file: a document a run, in the order they are to be done, or one document that is an experiment. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { hasCode } from '@rlhf-streams/files';
import {
  type Experiment,
  parseExperiment,
  parseRunConfig,
  type RunConfig,
  RunError,
  runsBuiltOn,
} from '@rlhf-streams/runs';
import { type Document, parseAllDocuments } from 'yaml';
import { CliError } from '../errors.js';

export interface RunFile {
  readonly runs: readonly RunConfig[];
  /** Where the runs are to be requested together. */
  readonly experiment?: Experiment;
}

/** @throws CliError CLI_FILE_UNREADABLE; CLI_FILE_INVALID naming every mistake by its path, and the document. */
export async function readRunFile(path: string): Promise<RunFile> {
  const text = await readFile(path, 'utf8').catch((cause) => {
    const reason = hasCode(cause, 'ENOENT') ? 'there is no such file' : cause.message;
    throw new CliError('CLI_FILE_UNREADABLE', `expected ${resolve(path)} to be a readable file: ${reason}`, {
      cause,
    });
  });
  const documents = parseAllDocuments(text);
  if (!Array.isArray(documents) || documents.length === 0) {
    throw new CliError(
      'CLI_FILE_INVALID',
      `expected ${path} to hold a run's configuration, got an empty file`,
    );
  }
  const contents = documents.map((document, index) => {
    const where = documents.length > 1 ? placeOf(path, index) : path;
    const [syntax] = document.errors;
    if (syntax) throw new CliError('CLI_FILE_INVALID', `${where} is no YAML: ${syntax.message}`);
    return { where, content: contentOf(document, where) };
  });
  const set = contents.find(({ content }) => isExperiment(content));
  if (set && contents.length > 1) {
    throw new CliError(
      'CLI_FILE_INVALID',
      `${set.where} is an experiment, which has its runs in a list: expected it to be the only document of its file`,
    );
  }
  if (set) {
    const experiment = parsed(set, parseExperiment);
    return { runs: experiment.runs, experiment };
  }
  const runs = contents.map((each) => parsed(each, parseRunConfig));
  refuseDisorder(path, runs);
  return { runs };
}

const isExperiment = (content: unknown): boolean =>
  typeof content === 'object' && content !== null && ('experiment' in content || 'runs' in content);

function parsed<T>(
  { where, content }: { readonly where: string; readonly content: unknown },
  parse: (content: unknown) => T,
): T {
  try {
    return parse(content);
  } catch (error) {
    if (!(error instanceof RunError)) throw error;
    throw new CliError('CLI_FILE_INVALID', `${where} is ${error.message}`, { cause: error });
  }
}

const placeOf = (path: string, index: number): string => `${path}, run ${index + 1}`;

/** Runs of a file are done one after the other: each has a name of its own, and builds on none that comes after it. */
function refuseDisorder(path: string, runs: readonly RunConfig[]): void {
  const placeByRun = new Map<string, number>();
  for (const [index, { run }] of runs.entries()) {
    const first = placeByRun.get(run);
    if (first !== undefined) {
      throw new CliError(
        'CLI_FILE_INVALID',
        `${placeOf(path, index)} is called ${run}, as run ${first + 1} is: give it another name`,
      );
    }
    placeByRun.set(run, index);
  }
  for (const [index, config] of runs.entries()) {
    const later = runsBuiltOn(config).find((run) => (placeByRun.get(run) ?? -1) > index);
    if (later === undefined) continue;
    throw new CliError(
      'CLI_FILE_INVALID',
      `${placeOf(path, index)} (${config.run}) builds on run ${later}, which comes after it, as run ${placeByRun.get(later)! + 1}: put that first`,
    );
  }
}

function contentOf(document: Document, where: string): unknown {
  try {
    return document.toJS();
  } catch (cause) {
    // An alias without its anchor, or aliases of aliases that would fill the memory.
    throw new CliError('CLI_FILE_INVALID', `${where} is no YAML: ${(cause as Error).message}`, { cause });
  }
}
