export { type AssistantTurns, assistantTurns, type CharacterSpan } from './assistant-turns.js';
export type { ChatOptions, Message } from './chat-template.js';
export { readEndTokens } from './end-tokens.js';
export { readTokenizer, type TokenizerFiles } from './files.js';
export { createGrowingText, type GrowingText } from './growing-text.js';
export { tokenizerDifference } from './identity.js';
export { type EncodedPrompt, encodePrompt } from './prompt.js';
export { loadTokenizer, type Tokenizer } from './tokenizer.js';
