export {
  type FileContents,
  syncFolder,
  withFile,
  writeFileAtomically,
  writeFolderAtomically,
} from './atomic.js';
export { exists, hasCode, isFile, unlessMissing } from './missing.js';
export { isRunning, type Owner, thisProcess } from './owner.js';
