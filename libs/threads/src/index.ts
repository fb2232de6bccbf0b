export { ThreadError, type ThreadErrorCode } from './errors.js';
export type { Api } from './protocol.js';
export { serve } from './serve.js';
export { spawn, type Thread } from './spawn.js';
