export { frozenTensors, readFrozen } from './adapters/frozen.js';
export { mergeAdapter } from './adapters/merge.js';
export { type DescribedModel, describeModel, type ModelFolders, readAdapter } from './adapters/read.js';
export { adapterTensors, isOfAdapter, type ModelTensor, tensorsOf } from './adapters/tensors.js';
export { type Peft, trainedModel } from './adapters/trained.js';
export { writeAdapter } from './adapters/write.js';
export type { Architecture, Parameters } from './architecture.js';
export { architectureOf, newModelConfig, parseModelConfig } from './architectures/index.js';
export { recomputingLayers } from './architectures/recomputation.js';
export {
  describeCheckpoint,
  readCheckpoint,
  readWeights,
  writeCheckpoint,
} from './checkpoint/directory.js';
export { exportedCheckpoint } from './checkpoint/exported.js';
export { checkpointFiles, readExtraFiles } from './checkpoint/files.js';
export { type FrozenFile, frozenWeights } from './checkpoint/frozen.js';
export { readSafetensors, writeSafetensors } from './checkpoint/safetensors.js';
export type { WeightCache } from './checkpoint/weight-cache.js';
export { ModelError } from './errors.js';
export { exportedFiles, fileContents } from './export/files.js';
export { createGenerator, type Generator } from './generation/generator.js';
export { packedForGeneration } from './generation/packed.js';
export {
  type Completion,
  checkTokenIds,
  type GenerationRequest,
  type Weights,
} from './generation/request.js';
export { headLogprobs, headLogprobsAndEntropy } from './head-logprobs.js';
export {
  baseBytes,
  bytesText,
  generationBytes,
  requireMemory,
  scoringBytes,
  scoringRows,
  trainingBytes,
  weightBytes,
} from './memory.js';
export {
  type Adapter,
  expectKind,
  type ModelConfig,
  type ModelKind,
  modelKind,
  type StoredAs,
  shapeKey,
  withScalarHead,
} from './model-config.js';
export { tokenLogprobs } from './sampling/likeliest.js';
export { keyFor, uniform } from './sampling/rollout-draws.js';
export { SAMPLERS } from './sampling/sampler.js';
export {
  type LogprobItem,
  logprobScorer,
  rewardScorer,
  type Scorer,
  type SequenceItem,
} from './scoring.js';
export { trainByteLevelBpe } from './tokenizer/bpe-trainer.js';
export * from './tokenizer/index.js';
export { tokenText } from './tokenizer/token-text.js';
export { initialiseWeights, parameterCount, parameterSpecs, type WeightTensor } from './weights.js';
