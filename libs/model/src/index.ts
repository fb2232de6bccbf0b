export {
  type Checkpoint,
  describeCheckpoint,
  readCheckpoint,
  type WeightTensor,
  writeCheckpoint,
} from './checkpoint/directory.js';
export { exportedCheckpoint } from './checkpoint/exported.js';
export { checkpointFiles, readExtraFiles } from './checkpoint/files.js';
export { gpt2TensorShapes } from './checkpoint/gpt2-tensors.js';
export { type ModelConfig, parseHuggingFaceConfig, shapeKey, toHuggingFace } from './checkpoint/hf-config.js';
export { readSafetensors, writeSafetensors } from './checkpoint/safetensors.js';
export { ModelError } from './errors.js';
export { createGenerator, type Generator } from './generation/generator.js';
export { compileDecode, parameterSpecs } from './generation/programs.js';
export {
  bucket,
  type Completion,
  checkTokenIds,
  type GenerationRequest,
  type Weights,
} from './generation/request.js';
export { forward, languageHead, type Parameters, scalarHead } from './gpt2/gpt2.js';
export { initialiseWeights } from './gpt2/initialise.js';
export { groupBy } from './group-by.js';
export { expectKind, type ModelKind, modelKind } from './kind.js';
export {
  bytesText,
  generationBytes,
  parameterCount,
  requireMemory,
  scoringBytes,
  trainingBytes,
  weightBytes,
} from './memory.js';
export { type TokenLogprobs, tokenLogprobs } from './sampling/likeliest.js';
export { keyFor, type PhiloxKey, uniform } from './sampling/rollout-draws.js';
export { type SampledToken, type SamplingOptions, sampleToken } from './sampling/sampler.js';
export { logprobScorer, rewardScorer, type Scorer } from './scoring.js';
export { trainByteLevelBpe } from './tokenizer/bpe-trainer.js';
export {
  loadTokenizer,
  promptTokens,
  readTokenizer,
  type Tokenizer,
  type TokenizerFiles,
  tokenizerDifference,
} from './tokenizer/index.js';
export { tokenText } from './tokenizer/token-text.js';
