/** The architectures there are. To add one: a folder beside `gpt2`, and a line here. */
import type { Architecture } from '../architecture.js';
import { ModelError } from '../errors.js';
import type { ModelConfig, ModelSize } from '../model-config.js';
import { gpt2 } from './gpt2/index.js';
import { llamaFamily } from './llama/index.js';

const architectures: ReadonlyMap<unknown, Architecture> = new Map(
  [gpt2, ...llamaFamily].map((architecture) => [architecture.name, architecture]),
);

/** The architecture of a model. */
export const architectureOf = ({ architecture }: Pick<ModelConfig, 'architecture'>): Architecture =>
  architectureNamed(architecture, 'the model');

/**
 * Reads a parsed `config.json`, whose `model_type` names the architecture.
 * @param source names the file in errors
 * @throws ModelError MODEL_CONFIG_INVALID, MODEL_CONFIG_UNSUPPORTED
 */
export function parseModelConfig(json: unknown, source = 'config.json'): ModelConfig {
  const type = (json as { readonly model_type?: unknown } | null)?.model_type;
  return architectureNamed(type, source).parseConfig(json, source);
}

/** A language model of this size that is yet to be made. */
export const newModelConfig = ({
  architecture,
  ...size
}: ModelSize & Pick<ModelConfig, 'architecture'>): ModelConfig =>
  architectureNamed(architecture, 'the new model').newConfig(size);

function architectureNamed(name: unknown, source: string): Architecture {
  const architecture = architectures.get(name);
  if (architecture) return architecture;
  const known = [...architectures.keys()].join(', ');
  throw new ModelError(
    'MODEL_CONFIG_INVALID',
    `${source}: model_type: expected one of ${known}, got ${JSON.stringify(name) ?? 'none'}.`,
  );
}
