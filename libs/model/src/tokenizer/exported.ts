import type { ModelConfig } from '../model-config.js';
import { namesOf, type TokenizerFiles } from './files.js';
import { framing, offsetsOf } from './post-processor.js';
import { loadTokenizer } from './tokenizer.js';

/**
 * The tokenizer of a model as it is published, so that others who load it and add nothing by hand have what training
 * and serving have: a language model continues a text as it begins; a reward model's score is read at the end of text
 * behind it. The special tokens are named and the context is the longest text, in the class that reads `tokenizer.json`
 * as it stands.
 * @throws MODEL_TOKENIZER_INVALID
 */
export function exportedTokenizer(
  files: TokenizerFiles,
  { contextLength, head }: Pick<ModelConfig, 'contextLength' | 'head'>,
): TokenizerFiles {
  const { begin, end, eosId, padId } = loadTokenizer(files.json, files.config);
  const names = namesOf(files.json);
  const named = (id: number) => ({ token: names.get(id)!, id });
  const wanted = head.kind === 'language' ? [] : [eosId];
  const json = files.json as { readonly post_processor?: unknown };
  const config = (files.config ?? {}) as Readonly<Record<string, unknown>>;
  const longest = config.model_max_length;
  return {
    json:
      `${end}` === `${wanted}`
        ? json
        : {
            ...json,
            post_processor: framing(begin.map(named), wanted.map(named), offsetsOf(json.post_processor)),
          },
    config: {
      ...config,
      eos_token: config.eos_token ?? names.get(eosId),
      pad_token: config.pad_token ?? names.get(padId),
      model_max_length: typeof longest === 'number' ? Math.min(longest, contextLength) : contextLength,
      tokenizer_class: 'PreTrainedTokenizerFast',
      // transformers 4 would by default give token types too, and some models add their embeddings.
      model_input_names: config.model_input_names ?? ['input_ids', 'attention_mask'],
    },
  };
}
