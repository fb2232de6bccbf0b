export { readTokenizer, type TokenizerFiles } from './files.js';
export { tokenizerDifference } from './identity.js';
export { promptTokens } from './prompt.js';
export { loadTokenizer, type Tokenizer } from './tokenizer.js';
