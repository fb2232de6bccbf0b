/** The Llama family: the only folder that knows its tensors, its `config.json` and how it computes. */
import type { Architecture } from '../../architecture.js';
import { scalarHead } from '../heads.js';
import { configJsonOf, type LlamaConfig, type Member, newConfigOf, parseConfigOf } from './config.js';
import { cacheShape, extend, forward, languageHead, outputMatrix, step, stepInto } from './llama.js';
import { llama, mistral, qwen2, qwen3 } from './members.js';
import { copies, linears, nameOf, storedName, tensors } from './tensors.js';

const architecture = (member: Member): Architecture<LlamaConfig> => ({
  name: member.name,
  parseConfig: parseConfigOf(member),
  configJson: configJsonOf(member),
  newConfig: newConfigOf(member),
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
  activations: ({ width, heads, kvHeads, headWidth, mlpWidth }, length) => {
    const projected = (heads + 2 * kvHeads) * headWidth;
    return {
      working: 4 * width + 2 * projected + 3 * mlpWidth + 2 * heads * length,
      kept: 6 * width + 3 * projected + 4 * mlpWidth + 2.5 * heads * length,
    };
  },
});

export const llamaFamily = [llama, mistral, qwen2, qwen3].map(architecture);
