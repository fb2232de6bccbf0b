export { ThreadError, type ThreadErrorCode } from './errors.js';
export { type Api, serve } from './serve.js';
export { spawn, type Thread } from './spawn.js';
