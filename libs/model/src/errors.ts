/**
 * The error of this package. `code` is stable and meant for programs, `message` says what was expected, what came
 * and what to do.
 *
 * | code | when |
 * |---|---|
 * | `MODEL_SAFETENSORS_HEADER` | the header of a safetensors file is missing, too long, or not the JSON it must be |
 * | `MODEL_SAFETENSORS_TRUNCATED` | the file ends before the last byte that its header names |
 * | `MODEL_SAFETENSORS_OFFSETS` | tensors overlap, or leave bytes between or behind them |
 * | `MODEL_SAFETENSORS_SHAPE` | a shape does not fit the number of bytes or of values |
 * | `MODEL_SAFETENSORS_DTYPE` | a dtype that is not read or written |
 * | `MODEL_CONFIG_INVALID` | a `config.json` is malformed, contradicts itself or has an unknown `model_type` |
 * | `MODEL_CONFIG_UNSUPPORTED` | a `config.json` asks for a variant of its architecture that this package does not compute |
 * | `MODEL_CHECKPOINT_MISSING` | a file that a checkpoint needs is not there |
 * | `MODEL_CHECKPOINT_FORMAT` | a folder has weights in another format alone, or quantised ones |
 * | `MODEL_CHECKPOINT_INDEX` | an index of shards is malformed, or its shards hold other tensors |
 * | `MODEL_FILE_POINTER` | in place of a file there is Git LFS's pointer to it |
 * | `MODEL_CHECKPOINT_TENSORS` | tensors missing, unexpected, or of the wrong shape or dtype |
 * | `MODEL_CHECKPOINT_EXISTS` | a checkpoint was to be written over another one |
 * | `MODEL_CHECKPOINT_FILE` | an extra file of a checkpoint has a name it may not have |
 * | `MODEL_DTYPE_RANGE` | a number is beyond the largest one of the dtype that it is to be stored in |
 * | `MODEL_ADAPTER` | an adapter came without the model that it stands on |
 * | `MODEL_ADAPTER_CONFIG` | an `adapter_config.json` is malformed, or names modules that the base has not |
 * | `MODEL_ADAPTER_UNSUPPORTED` | an `adapter_config.json` asks for a variant of LoRA, or another method, that this package does not compute |
 * | `MODEL_ADAPTER_TENSORS` | tensors of an adapter are missing, unexpected, or do not fit its base |
 * | `MODEL_ROLE` | a reference is no language model, or a scorer no reward model |
 * | `MODEL_MEMORY` | a model needs more memory than there is |
 * | `MODEL_TOKENIZER_INVALID` | a `tokenizer.json` that is malformed or has no end-of-text token |
 * | `MODEL_CHAT_TEMPLATE_MISSING` | a model without a chat template was given a conversation |
 * | `MODEL_CHAT_TEMPLATE` | a chat template is malformed, or takes other messages |
 * | `MODEL_CHAT_TEMPLATE_TOOLS` | a chat template that leaves tools out was given some |
 * | `MODEL_TOKENIZER_IDS` | token ids that are no non-negative integers |
 * | `MODEL_TOKENIZER_TRAINING` | options that no tokenizer can be trained with |
 * | `MODEL_SAMPLING_OPTIONS` | temperature, top-k, top-p, seed, position or draw out of range |
 * | `MODEL_SEQUENCE_LENGTH` | a sequence to be scored is empty or longer than the context |
 * | `MODEL_GENERATION_REQUEST` | the prompt, its tokens or the length of a request do not fit the model |
 * | `MODEL_GENERATION_TIMEOUT` | a completion took longer than its request allows |
 * | `MODEL_GENERATION_CLOSED` | the generator was closed before the completion ended |
 * | `MODEL_GENERATION_ABORTED` | the client that asked for the completion has gone |
 * | `MODEL_NOT_A_POLICY` | a model that scores texts was asked to generate them |
 * | `MODEL_LOGITS_SIZE` | a row of logits is empty or longer than any vocabulary |
 * | `MODEL_LOGITS_NOT_FINITE` | a row of logits has NaN or infinity in it |
 */
export class ModelError extends Error {
  readonly code: `MODEL_${string}`;

  constructor(code: `MODEL_${string}`, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ModelError';
    this.code = code;
  }
}

/** Whether an error is a ModelError, also when it lost its class between threads: another attempt would fail as well. */
export const isModelError = (error: unknown): error is Error & { code: `MODEL_${string}` } =>
  error instanceof Error &&
  'code' in error &&
  typeof error.code === 'string' &&
  error.code.startsWith('MODEL_');
