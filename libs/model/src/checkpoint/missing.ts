/** Why a folder is no checkpoint: what lies there instead, and what to do. */
import { readdir } from 'node:fs/promises';
import { unlessMissing } from '@rlhf-streams/files';
import { ModelError } from '../errors.js';

/** What people have in place of a checkpoint, by files of the folder. */
const OTHERS: readonly { readonly file: RegExp; readonly what: string; readonly advice: string }[] = [
  {
    file: /^adapter_config\.json$/,
    what: 'an adapter (PEFT), which stands on another model',
    advice: 'name the folder of that model, or merge the two (merge_and_unload, save_pretrained)',
  },
  {
    file: /\.gguf$/i,
    what: "llama.cpp's format",
    advice: 'fetch the model in the Hugging Face format, from which it was converted',
  },
  {
    file: /^consolidated\.\d+\.(pth|safetensors)$/,
    what: "the publisher's own format",
    advice: 'fetch the model in the Hugging Face format',
  },
  {
    file: /^(pytorch_model.*\.bin|tf_model\.h5|flax_model\.msgpack)(\.index\.json)?$/,
    what: 'weights that are no safetensors',
    advice:
      'load the model with transformers and write it with save_pretrained(DIR), or fetch its revision with safetensors (refs/convert/safetensors of many models on the Hub)',
  },
];

/** The error for a folder that lacks a file of a checkpoint. */
export async function missingFile(dir: string, name: string): Promise<ModelError> {
  const names = ((await unlessMissing(readdir(dir))) ?? []).sort();
  for (const { file, what, advice } of OTHERS) {
    const found = names.find((name) => file.test(name));
    if (found === undefined) continue;
    const code = found === 'adapter_config.json' ? 'MODEL_ADAPTER' : 'MODEL_CHECKPOINT_FORMAT';
    return new ModelError(code, `${dir} has no ${name}, but ${found}, which is ${what}: ${advice}.`);
  }
  const more = names.length > MOST_NAMED ? ` and ${names.length - MOST_NAMED} more` : '';
  const holds = names.slice(0, MOST_NAMED).join(', ') || 'nothing';
  return new ModelError('MODEL_CHECKPOINT_MISSING', `${dir} has no ${name}; it holds ${holds}${more}.`);
}

const MOST_NAMED = 8;
