export { ArtifactError, type ArtifactErrorCode } from './errors.js';
export { type FilesystemOptions, filesystemArtifacts } from './filesystem/index.js';
export type {
  ArtifactRef,
  ArtifactStore,
  Collected,
  CollectOptions,
  FetchOptions,
  PutOptions,
} from './port.js';
