/** Reads what PEFT's `save_pretrained` writes: a folder with an adapter on a model that lies elsewhere. */
import { join } from 'node:path';
import { architectureOf } from '../architectures/index.js';
import { describeCheckpoint } from '../checkpoint/directory.js';
import { exists, readJson } from '../checkpoint/json-file.js';
import { readSafetensors, readSafetensorsHeader } from '../checkpoint/safetensors.js';
import { ModelError } from '../errors.js';
import { type ModelConfig, withScalarHead } from '../model-config.js';
import { MAX_CONFIG_BYTES, readTokenizerFiles, type TokenizerFiles } from '../tokenizer/files.js';
import type { WeightTensor } from '../weights.js';
import { ADAPTER_CONFIG, ADAPTER_WEIGHTS, OFFSET, peftName } from './files.js';
import { parsePeftConfig, withPeft } from './peft-config.js';
import { adapterTensors } from './tensors.js';

/** Where a model lies: a checkpoint, and a PEFT folder with an adapter on it. */
export interface ModelFolders {
  readonly base: string;
  readonly adapter?: string | undefined;
}

export interface DescribedModel {
  /** With `adapter` where the model has one. */
  readonly config: ModelConfig;
  /** The model that the base is without the adapter: `config` where there is none. */
  readonly base: ModelConfig;
  /** Those beside the adapter, else the base's. */
  readonly tokenizer?: TokenizerFiles;
  /** `base_model_name_or_path` of an adapter's files: what PEFT finds the base by. */
  readonly baseName?: string;
}

/**
 * Everything of a model but its weights. The names, shapes and dtypes of its tensors are checked.
 * @throws as `describeCheckpoint` and {@link readAdapter}
 */
export async function describeModel({ base: dir, adapter }: ModelFolders): Promise<DescribedModel> {
  const { config: base, tokenizer: ofBase } = await describeCheckpoint(dir);
  if (adapter === undefined) return { config: base, base, ...(ofBase && { tokenizer: ofBase }) };
  const { config, baseName } = await describeAdapter(adapter, base);
  const tokenizer = (await readTokenizerFiles(adapter)) ?? ofBase;
  return { config, base, ...(tokenizer && { tokenizer }), ...(baseName && { baseName }) };
}

/**
 * An adapter and the model that it makes of its base.
 * @returns tensors: those of the adapter in float32, by their names in `tensorsOf(config)`
 * @throws ModelError MODEL_CHECKPOINT_MISSING, MODEL_ADAPTER_CONFIG, MODEL_ADAPTER_UNSUPPORTED, MODEL_ADAPTER_TENSORS,
 *   MODEL_SAFETENSORS_*
 */
export async function readAdapter(
  dir: string,
  base: ModelConfig,
): Promise<{ config: ModelConfig; tensors: Map<string, WeightTensor> }> {
  const { config } = await describeAdapter(dir, base);
  const { tensors } = await readSafetensors(join(dir, ADAPTER_WEIGHTS));
  return {
    config,
    tensors: new Map(
      [...adapterTensors(config).keys()].map((name) => {
        const { shape, data } = tensors.get(peftName(config, name))!;
        return [
          name,
          { shape, data: data instanceof Float32Array ? data : Float32Array.from(data as Float64Array) },
        ];
      }),
    ),
  };
}

async function describeAdapter(
  dir: string,
  base: ModelConfig,
): Promise<{ config: ModelConfig; baseName?: string | undefined }> {
  const configPath = join(dir, ADAPTER_CONFIG);
  const json = await readJson(configPath, MAX_CONFIG_BYTES, 'MODEL_ADAPTER_CONFIG');
  if (json === undefined) throw missing(dir, ADAPTER_CONFIG, '');
  const peft = parsePeftConfig(json, configPath);
  const path = join(dir, ADAPTER_WEIGHTS);
  if (!(await exists(path))) {
    const old = await exists(join(dir, 'adapter_model.bin'));
    throw missing(
      dir,
      ADAPTER_WEIGHTS,
      old ? '; there is an adapter_model.bin: save it again with safe_serialization=True' : '',
    );
  }
  const { entries, metadata } = await readSafetensorsHeader(path);
  const labels = entries.get(peftName(base, headTensor(base)))?.shape[0];
  const offset = metadata[OFFSET] === undefined ? undefined : Number(metadata[OFFSET]);
  const config = withPeft(base, peft, { labels, offset }, configPath);
  checkTensors(config, entries, path);
  return { config, baseName: peft.baseName };
}

/** The tensor of a scalar head. */
function headTensor(base: ModelConfig): string {
  const scalar = withScalarHead(base);
  return [...architectureOf(scalar).tensors(scalar)].find(([, { ofHead }]) => ofHead)![0];
}

const FLOATS = ['F32', 'F16', 'BF16', 'F64'];

function checkTensors(
  config: ModelConfig,
  found: ReadonlyMap<string, { readonly shape: readonly number[]; readonly dtype: string }>,
  source: string,
): void {
  const expected = new Map(
    [...adapterTensors(config)].map(([name, { shape }]) => [peftName(config, name), shape] as const),
  );
  const problems = [
    ...[...expected].flatMap(([name, shape]) => {
      const came = found.get(name);
      if (!came) return [`missing ${name} [${shape}]`];
      if (`${came.shape}` !== `${shape}`) return [`${name} has shape [${came.shape}], expected [${shape}]`];
      return FLOATS.includes(came.dtype)
        ? []
        : [`${name} has dtype ${came.dtype}, expected ${FLOATS.join(', ')}`];
    }),
    ...[...found].flatMap(([name, { shape }]) =>
      expected.has(name) ? [] : [`unexpected ${name} [${shape}]`],
    ),
  ];
  if (problems.length === 0) return;
  const shown = problems.slice(0, 20);
  if (problems.length > shown.length) shown.push(`and ${problems.length - shown.length} more`);
  throw new ModelError(
    'MODEL_ADAPTER_TENSORS',
    `${source}: the tensors are not those of an adapter on this base, as ${ADAPTER_CONFIG} describes it: ${shown.join('; ')}. Is it the base that the adapter was trained on?`,
  );
}

const missing = (dir: string, name: string, advice: string) =>
  new ModelError('MODEL_CHECKPOINT_MISSING', `${dir} has no ${name}${advice}.`);
