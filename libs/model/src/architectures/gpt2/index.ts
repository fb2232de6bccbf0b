/** GPT-2: the only folder that knows its tensors, its `config.json` and how it computes. */
import type { Architecture } from '../../architecture.js';
import { scalarHead } from '../heads.js';
import { configJson, type Gpt2Config, newConfig, parseConfig } from './config.js';
import { cacheShape, extend, forward, languageHead, outputMatrix, step, stepInto } from './gpt2.js';
import { copies, linears, nameOf, storedName, tensors } from './tensors.js';

export const gpt2: Architecture<Gpt2Config> = {
  name: 'gpt2',
  parseConfig,
  configJson,
  newConfig,
  tensors,
  linears,
  nameOf,
  storedName,
  copies,
  forward,
  step,
  stepInto,
  extend,
  cacheShape,
  outputMatrix,
  languageHead,
  scalarHead,
  /** Korthikanti et al. 2022, "Reducing Activation Recomputation in Large Transformer Models", section 4, for `kept`. */
  activations: ({ width, heads }, length) => ({
    working: 8 * width + 2 * heads * length,
    kept: 17 * width + 2.5 * heads * length,
  }),
};
