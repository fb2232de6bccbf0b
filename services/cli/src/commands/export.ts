import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { LogError } from '@rlhf-streams/log';
import { parseModelConfig } from '@rlhf-streams/model';
import { wholeModel } from '@rlhf-streams/serving';
import { findModel, parseModelName, refused } from '../export/models.js';
import { checkedTarget } from '../export/target.js';
import type { Client } from '../place/client.js';
import { isShared, openToLook, type Where } from '../place/where.js';

export interface ExportOptions extends Pick<Where, 'directory' | 'brokers'> {
  /** Replaces a model that is in the folder. */
  readonly force: boolean;
}

/**
 * Writes the model `RUN` or `RUN@VERSION` as a folder in the Hugging Face layout, and returns what there is to say of it.
 * @throws CliError CLI_EXPORT_REFUSED; LogError LOG_LOCKED while another process has an embedded log.
 */
export async function exportModel(
  source: string,
  directory: string,
  { force, ...where }: ExportOptions,
): Promise<string> {
  const name = parseModelName(source);
  const place = await openFinished(where);
  try {
    const { version, step, model } = await findModel(place, name);
    const artifact = wholeModel(model);
    const files = await readdir(await place.artifacts.fetch(artifact), { recursive: true });
    const target = await checkedTarget(directory, files, force);
    await place.artifacts.materialise(artifact, target).catch((error) => {
      throw refused(`could not write ${target}: ${(error as Error).message}`, error);
    });
    return [
      target,
      `run ${name.run}, version ${version} of step ${step}: ${await descriptionOf(target)}`,
    ].join('\n');
  } finally {
    await place.close();
  }
}

/** The log and the artifacts, without services. */
async function openFinished(where: Pick<Where, 'directory' | 'brokers'>): Promise<Client> {
  const directory = resolve(where.directory);
  if (!isShared(where) && !existsSync(join(directory, 'log'))) {
    throw refused(
      `expected --directory to be a folder that runs were done in, got ${directory}, which has no log`,
    );
  }
  try {
    return await openToLook(where);
  } catch (error) {
    if (!(error instanceof LogError) || error.code !== 'LOG_LOCKED') throw error;
    const owner = /process \d+/.exec(error.message)?.[0] ?? 'another process';
    throw new LogError(
      'LOG_LOCKED',
      `The log in ${directory} is in use by ${owner}, and is of one process at a time: export when its runs have ended, or stop it first (Ctrl-C; its runs go on when they are started again).`,
      { cause: error },
    );
  }
}

/** What kind of model a folder holds, and how Python loads it. */
async function descriptionOf(folder: string): Promise<string> {
  const path = join(folder, 'config.json');
  const { head } = parseModelConfig(JSON.parse(await readFile(path, 'utf8')), path);
  const [kind, task, more] =
    head.kind === 'language'
      ? ['a policy', 'text-generation', '']
      : ['a reward model', 'text-classification', ", function_to_apply='none'"];
  const shifted =
    head.kind === 'scalar' && head.offset !== undefined
      ? `\nits scores are less score_offset of its config.json, ${head.offset}, so that demonstrations score 0; transformers gives them unshifted`
      : '';
  const call = `pipeline('${task}', model=${JSON.stringify(folder)}${more})`;
  return `${kind}\nin Python: from transformers import pipeline; model = ${call}${shifted}`;
}
