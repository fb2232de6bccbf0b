import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { FileContents } from '@rlhf-streams/files';
import { LogError } from '@rlhf-streams/log';
import {
  exportedFiles,
  fileContents,
  type ModelConfig,
  type ModelFolders,
  type StoredAs,
} from '@rlhf-streams/model';
import { findModel, parseModelName, refused } from '../export/models.js';
import { checkedTarget, putFolder } from '../export/target.js';
import type { Client } from '../place/client.js';
import { isShared, openToLook, type Where } from '../place/where.js';

export interface ExportOptions extends Pick<Where, 'directory' | 'brokers'> {
  /** Replaces a model that is in the folder. */
  readonly force: boolean;
  /** Adds an adapter to its base. */
  readonly merge: boolean;
  /** Default: that of the model which training began with, as for `maxShardSize`. */
  readonly dtype?: StoredAs['dtype'];
  /** Bytes of the largest file of weights. */
  readonly maxShardSize?: number;
}

/**
 * Writes the model `RUN` or `RUN@VERSION` as a folder in the Hugging Face layout, or an adapter as one of PEFT, and returns
 * what there is to say of it.
 * @throws CliError CLI_EXPORT_REFUSED; ModelError MODEL_DTYPE_RANGE; LogError LOG_LOCKED while another process has an
 *   embedded log.
 */
export async function exportModel(
  source: string,
  directory: string,
  { force, merge, dtype, maxShardSize, ...where }: ExportOptions,
): Promise<string> {
  const name = parseModelName(source);
  const place = await openFinished(where);
  try {
    const { version, step, model } = await findModel(place, name);
    if (merge && !model.adapter)
      throw refused(`expected run ${name.run} to have published an adapter for --merge, got a whole model`);
    const isAdapter = model.adapter !== undefined && !merge;
    if (isAdapter && (dtype ?? maxShardSize) !== undefined)
      throw refused(
        `expected --merge beside --dtype and --max-shard-size: run ${name.run} published an adapter, which is float32 in one file`,
      );
    const { artifacts } = place;
    const adapter = model.adapter && (await artifacts.fetch(model.adapter));
    const { files, description } = isAdapter
      ? await adapterFiles(adapter!, directory)
      : await wholeFiles({ base: await artifacts.fetch(model.base), adapter }, directory, {
          ...(dtype && { dtype }),
          ...(maxShardSize !== undefined && { maxShardBytes: maxShardSize }),
        });
    const target = await checkedTarget(directory, [...files.keys()], force);
    await replaceWith(target, files);
    return `${target}\nrun ${name.run}, version ${version} of step ${step}: ${description}`;
  } finally {
    await place.close();
  }
}

interface ToWrite {
  readonly files: ReadonlyMap<string, FileContents>;
  /** What kind of model it is, and how Python loads it. */
  readonly description: string;
}

async function wholeFiles(folders: ModelFolders, target: string, as: Partial<StoredAs>): Promise<ToWrite> {
  const { config, files } = await exportedFiles(folders, as);
  return { files, description: descriptionOf(config, resolve(target)) };
}

/** An adapter as it was published: PEFT finds the base by the name in it. */
async function adapterFiles(folder: string, target: string): Promise<ToWrite> {
  const names = await readdir(folder);
  const json = JSON.parse(await readFile(join(folder, 'adapter_config.json'), 'utf8')) as {
    base_model_name_or_path?: string;
    task_type?: string;
  };
  const base = json.base_model_name_or_path;
  const [task, loader] =
    json.task_type === 'SEQ_CLS'
      ? ['a reward model', 'AutoPeftModelForSequenceClassification']
      : ['a policy', 'AutoPeftModelForCausalLM'];
  return {
    files: new Map(names.map((name) => [name, fileContents(join(folder, name))])),
    description: [
      `an adapter that makes ${task} of ${base}; --merge writes the two as one model`,
      ...(base?.startsWith('artifact:')
        ? [
            'PEFT finds no base by that name: put the path of one into base_model_name_or_path of adapter_config.json',
          ]
        : []),
      `in Python: from peft import ${loader}; model = ${loader}.from_pretrained(${JSON.stringify(resolve(target))})`,
    ].join('\n'),
  };
}

/** Writes the folder whole or not at all, in place of what is there. */
async function replaceWith(target: string, files: ReadonlyMap<string, FileContents>): Promise<void> {
  try {
    await putFolder(target, files);
  } catch (error) {
    if ((error as { code?: string }).code === 'MODEL_DTYPE_RANGE') throw error;
    throw refused(`could not write ${target}: ${(error as Error).message}`, error);
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

function descriptionOf({ head }: Pick<ModelConfig, 'head'>, folder: string): string {
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
