/** The files of a PEFT folder, and the names of the tensors in them. */
import { architectureOf } from '../architectures/index.js';
import type { ModelConfig } from '../model-config.js';

export const ADAPTER_CONFIG = 'adapter_config.json';
export const ADAPTER_WEIGHTS = 'adapter_model.safetensors';

/** A piece of metadata of the weights: what is subtracted from the scores of a reward model, which PEFT has no field for. */
export const OFFSET = 'score_offset';

const PREFIX = 'base_model.model.';

/** The name under which PEFT stores a tensor of an adapter. */
export const peftName = (config: ModelConfig, name: string): string =>
  PREFIX + architectureOf(config).storedName(name);
