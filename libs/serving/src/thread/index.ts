/** What compute threads are made of. It loads the engine: never imported by the thread that serves. */
export { openEngine } from './engine.js';
export {
  type ModelThread,
  type ModelToOpen,
  perBase,
  perShape,
  type StoredModel,
  type ThreadOptions,
  threadModels,
} from './models.js';
export { type ScoringThread, serveScoring } from './scoring.js';
