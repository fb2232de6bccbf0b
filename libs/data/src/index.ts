export {
  type CompletionRow,
  type Dataset,
  detectFormat,
  type LabelledRow,
  type MessagesRow,
  type PromptRow,
  type TextRow,
} from './columns.js';
export { type Content, type Message, messageSchema, messagesSchema, textOf } from './content.js';
export { bundledCorpus, type CorpusRow } from './corpus/index.js';
export { DataError, type DataErrorCode } from './errors.js';
export { splitImplicitMessages, splitImplicitPrompt } from './implicit-prompt.js';
export type { Row } from './json.js';
export {
  allPairs,
  bestFirst,
  bestVersusRest,
  type PairOptions,
  type PreferencePair,
  type Ranking,
} from './preferences.js';
export { promptOf } from './prompt-of.js';
export { loadDataset, type ReadOptions, readDataset } from './read-dataset.js';
export { type SeededRandom, seededRandom } from './seeded-random.js';
export { batchIndices, epochOrder, splitTrainTest } from './splits.js';
