export { type PhiloxBlock, type PhiloxKey, philox4x32 } from './philox.js';
