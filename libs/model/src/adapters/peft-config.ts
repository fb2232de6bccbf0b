/** `adapter_config.json` of PEFT, both ways. */
import { z } from 'zod';
import { checked } from '../architectures/config-json.js';
import { architectureOf } from '../architectures/index.js';
import { ModelError } from '../errors.js';
import { type ModelConfig, modelKind } from '../model-config.js';
import { savedModules, shortTargets, targetedModules } from './targets.js';

/** The fields that say what an adapter computes. */
const schema = z.looseObject({
  peft_type: z.string(),
  task_type: z.string().nullish(),
  base_model_name_or_path: z.string().nullish(),
  r: z.int().min(1).max(65_536).default(8),
  lora_alpha: z.number().positive().default(8),
  target_modules: z.union([z.string(), z.array(z.string())]),
  use_rslora: z.boolean().nullish(),
  modules_to_save: z.array(z.string()).nullish(),
  bias: z.string().default('none'),
  init_lora_weights: z.union([z.boolean(), z.string()]).nullish(),
});

/**
 * Fields that say nothing of what a trained adapter computes: how it was made and is to be trained on, and options of
 * variants that other fields turn on. `fan_in_fan_out` follows from the architecture.
 */
const WITHOUT_EFFECT: ReadonlySet<string> = new Set([
  'auto_mapping',
  'ensure_weight_tying',
  'fan_in_fan_out',
  'inference_mode',
  'layers_pattern',
  'lora_dropout',
  'megatron_core',
  'peft_version',
  'qalora_group_size',
  'revision',
  'runtime_config',
]);

/** Weights that A and B start from at random. Others, as those of PiSSA, go with another base than the one named. */
const RANDOM_STARTS: readonly unknown[] = [true, false, 'gaussian', 'orthogonal', null, undefined];

const TASKS = { language: 'CAUSAL_LM', scalar: 'SEQ_CLS' } as const;
/** PEFT lists both names of a classification head, whichever the model has. */
const HEADS_OF_PEFT: readonly string[] = ['classifier', 'score'];

export interface PeftConfig {
  /** What the adapter makes of its base; null where the file leaves it to the base. */
  readonly task: (typeof TASKS)[keyof typeof TASKS] | null;
  readonly rank: number;
  readonly alpha: number;
  readonly rslora: boolean;
  readonly targetModules: readonly string[] | string;
  readonly modulesToSave: readonly string[];
  /** What PEFT finds the base by: a folder, or a name on the Hugging Face hub. */
  readonly baseName?: string;
}

/**
 * Reads a parsed `adapter_config.json`.
 * @throws ModelError MODEL_ADAPTER_CONFIG where it is malformed, MODEL_ADAPTER_UNSUPPORTED where it asks for what is not
 *   computed here, which is named
 */
export function parsePeftConfig(json: unknown, source: string): PeftConfig {
  const fields = checked(schema, json, 'MODEL_ADAPTER_CONFIG', source);
  const { task_type: task, bias, init_lora_weights: start, peft_type: type } = fields;
  const refusals = [
    ...(type === 'LORA' ? [] : [`peft_type ${JSON.stringify(type)}, expected LORA`]),
    ...(isTask(task) ? [] : [`task_type ${JSON.stringify(task)}, expected CAUSAL_LM or SEQ_CLS`]),
    ...(bias === 'none' ? [] : [`bias ${JSON.stringify(bias)}, expected none`]),
    ...(RANDOM_STARTS.includes(start)
      ? []
      : [
          `init_lora_weights ${JSON.stringify(start)}: the adapter is on another base than the one it names; convert it as PEFT's path_initial_model_for_weight_conversion does`,
        ]),
    ...Object.entries(fields).flatMap(([name, value]) =>
      name in schema.shape || WITHOUT_EFFECT.has(name) || isOff(value)
        ? []
        : [`${name} ${JSON.stringify(value)}`],
    ),
  ];
  if (refusals.length > 0) {
    throw new ModelError(
      'MODEL_ADAPTER_UNSUPPORTED',
      `${source}: expected a LoRA adapter as PEFT makes it by default, got ${refusals.join('; ')}; merge it into its base with PEFT's merge_and_unload and use that`,
    );
  }
  return {
    task: (task ?? null) as PeftConfig['task'],
    rank: fields.r,
    alpha: fields.lora_alpha,
    rslora: fields.use_rslora ?? false,
    targetModules: fields.target_modules,
    modulesToSave: fields.modules_to_save ?? [],
    ...(fields.base_model_name_or_path && { baseName: fields.base_model_name_or_path }),
  };
}

/**
 * The base with the adapter.
 * @param labels of the head that the adapter brings along; undefined where it has none
 * @throws ModelError MODEL_ADAPTER_CONFIG where the adapter does not go with the base
 */
export function withPeft(
  base: ModelConfig,
  { task, rank, alpha, rslora, targetModules, modulesToSave }: PeftConfig,
  { labels, offset }: { readonly labels?: number | undefined; readonly offset?: number | undefined },
  source: string,
): ModelConfig {
  const head = headOf(base, task, { labels, offset }, source);
  return withAdapter({ ...base, head }, { rank, alpha, rslora, targetModules, modulesToSave }, source);
}

/** What an adapter is asked for by: its modules by names that PEFT would match. */
type AdapterSettings = Omit<PeftConfig, 'task' | 'baseName'>;

/**
 * A model with an adapter on the maps that the settings name.
 * @throws ModelError MODEL_ADAPTER_CONFIG where they name what the model has not
 */
export function withAdapter(
  config: ModelConfig,
  { targetModules, modulesToSave, ...scale }: AdapterSettings,
  source: string,
): ModelConfig {
  const saved = savedModules(config, modulesToSave, source);
  const missing = modulesToSave.filter((name) => !saved.includes(name) && !HEADS_OF_PEFT.includes(name));
  if (missing.length > 0) {
    throw new ModelError(
      'MODEL_ADAPTER_CONFIG',
      `${source}: expected modules of the model in modulesToSave, got ${missing.join(', ')}`,
    );
  }
  const targets = targetedModules(config, targetModules, modulesToSave, source);
  return { ...config, adapter: { ...scale, targetModules: targets, modulesToSave: saved } };
}

function headOf(
  base: ModelConfig,
  task: PeftConfig['task'],
  { labels, offset }: { readonly labels?: number | undefined; readonly offset?: number | undefined },
  source: string,
): ModelConfig['head'] {
  const kind = modelKind(base);
  if (task === TASKS.language && base.head.kind !== 'language') {
    throw new ModelError(
      'MODEL_ADAPTER_CONFIG',
      `${source}: task_type ${task}: expected a language model as the base, got a ${kind}`,
    );
  }
  if (task !== TASKS.scalar) return base.head;
  if (labels !== undefined) return { kind: 'scalar', labels, ...(offset !== undefined && { offset }) };
  if (base.head.kind === 'scalar') return { ...base.head, ...(offset !== undefined && { offset }) };
  throw new ModelError(
    'MODEL_ADAPTER_CONFIG',
    `${source}: task_type ${task}: expected the head of the classifier in adapter_model.safetensors, as its base is a ${kind}; got none: name it in modules_to_save`,
  );
}

/**
 * The `adapter_config.json` of a model, as PEFT reads it.
 * @param base what PEFT finds the base by
 * @throws ModelError MODEL_ADAPTER_CONFIG where the model has no adapter
 */
export function peftJson(config: ModelConfig, base: string): Record<string, unknown> {
  const { adapter, head } = config;
  if (!adapter)
    throw new ModelError('MODEL_ADAPTER_CONFIG', 'expected a model with an adapter, got one without');
  const linears = architectureOf(config).linears(config);
  return {
    base_model_name_or_path: base,
    bias: 'none',
    fan_in_fan_out: adapter.targetModules.some((name) => linears.get(name)?.fanInFanOut),
    inference_mode: true,
    init_lora_weights: true,
    lora_alpha: adapter.alpha,
    lora_dropout: 0,
    modules_to_save: adapter.modulesToSave.length > 0 ? adapter.modulesToSave : null,
    peft_type: 'LORA',
    r: adapter.rank,
    target_modules: shortTargets(config, adapter),
    task_type: TASKS[head.kind],
    use_rslora: adapter.rslora,
  };
}

const isTask = (task: unknown) =>
  task === null || task === undefined || Object.values(TASKS).includes(task as never);

/** Whether a field turns nothing on. */
const isOff = (value: unknown): boolean =>
  value === null ||
  value === undefined ||
  value === false ||
  (typeof value === 'object' && Object.keys(value).length === 0);
