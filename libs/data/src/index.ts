export { unanswered } from './answers.js';
export {
  type CompletionRow,
  type Dataset,
  detectFormat,
  type LabelledRow,
  type PromptRow,
  type TextRow,
  type ThumbRow,
} from './columns.js';
export { DataError, type DataErrorCode } from './errors.js';
export type { Row } from './json.js';
export type { Message, Said, Tools } from './messages.js';
export type { PreferencePair, Ranking } from './preferences.js';
export { promptOf } from './prompt-of.js';
export { loadDataset, type ReadOptions, readDataset } from './read-dataset.js';
export { type SeededRandom, seededRandom } from './seeded-random.js';
export { batchIndices, epochOrder, splitTrainTest } from './splits.js';
export { textsAsMessages, transcriptsAsMessages } from './texts-as-messages.js';
