import type { ModelConfig } from '../model-config.js';
import { namesOf, type TokenizerFiles } from './files.js';
import { framing, offsetsOf } from './post-processor.js';
import { loadTokenizer } from './tokenizer.js';

/**
 * The tokenizer of a model as it is published. Whoever loads it gets the token ids of training and serving without
 * adding any: texts begin as they did in training, and those of a reward model also end with the end of text, where its
 * score is read. `tokenizer_config.json` names the special tokens, the context as the longest text, and the class of
 * transformers that reads `tokenizer.json` without changes.
 * @throws ModelError MODEL_TOKENIZER_INVALID
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
