/** An evaluation from a YAML file, with the runs that it is made of. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { hasCode } from '@rlhf-streams/files';
import type { Experiment } from '@rlhf-streams/runs';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { CliError } from '../errors.js';
import { type EvaluationFile, type FileMistake, parseEvaluation } from './file.js';
import { experimentOf } from './runs.js';

export interface PlannedEvaluation {
  readonly file: EvaluationFile;
  readonly experiment: Experiment;
}

/** @throws CliError CLI_FILE_UNREADABLE; CLI_FILE_INVALID naming every mistake by its path. */
export async function readEvaluationFile(path: string): Promise<PlannedEvaluation> {
  const text = await readFile(path, 'utf8').catch((cause) => {
    const reason = hasCode(cause, 'ENOENT') ? 'there is no such file' : cause.message;
    throw new CliError('CLI_FILE_UNREADABLE', `expected ${resolve(path)} to be a readable file: ${reason}`, {
      cause,
    });
  });
  return planEvaluation(contentOf(text, path), path);
}

/**
 * @param path names the file in errors
 * @throws CliError CLI_FILE_INVALID naming every mistake by its path
 */
export function planEvaluation(json: unknown, path: string): PlannedEvaluation {
  const parsed = parseEvaluation(json);
  if ('mistakes' in parsed) throw invalid(path, parsed.mistakes);
  const planned = experimentOf(parsed.file);
  if ('mistakes' in planned) throw invalid(path, planned.mistakes);
  return { file: parsed.file, experiment: planned.experiment };
}

function contentOf(text: string, path: string): unknown {
  const document = parseDocument(text);
  const [syntax] = document.errors;
  if (syntax) throw new CliError('CLI_FILE_INVALID', `${path} is no YAML: ${syntax.message}`);
  try {
    return document.toJS();
  } catch (cause) {
    // An alias without its anchor, or aliases of aliases that would fill the memory.
    throw new CliError('CLI_FILE_INVALID', `${path} is no YAML: ${(cause as Error).message}`, { cause });
  }
}

function invalid(path: string, mistakes: readonly FileMistake[]): CliError {
  const lines = mistakes.map(({ path, message }) => {
    const place = z.core.toDotPath(path);
    return `  ${place === '' ? '' : `${place}: `}${message}`;
  });
  return new CliError('CLI_FILE_INVALID', `${path} is not an evaluation:\n${lines.join('\n')}`);
}
