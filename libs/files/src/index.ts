export {
  isOlder,
  replaceFolder,
  sweepBeside,
  temporaryBeside,
  writeFileAtomically,
  writeFolderAtomically,
} from './atomic.js';
export { filesMatching, isPattern } from './glob.js';
export { exists, hasCode, isFile, unlessMissing } from './missing.js';
export { isRunning, type Owner, thisProcess } from './owner.js';
export { type FileContents, syncFolder, syncFolders, withFile, writeNewFile } from './writing.js';
