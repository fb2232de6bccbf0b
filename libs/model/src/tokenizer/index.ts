export { readTokenizer, type TokenizerFiles } from './files.js';
export { promptTokens } from './prompt.js';
export { loadTokenizer, type Tokenizer } from './tokenizer.js';
