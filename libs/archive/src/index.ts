export { ArchiveError, type ArchiveErrorCode } from './errors.js';
export { archivedEvents, furthest, type ReadDependencies, type ReadRunOptions, runEvents } from './read.js';
export { startOf, type WriteDependencies, writeArchive } from './write.js';
