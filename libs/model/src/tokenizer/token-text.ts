import type { Tokenizer } from './tokenizer.js';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The text of one token by itself, as it goes on with a text. A token that is a part of a character, or a byte for which
 * the vocabulary also has a character, is spelt as its bytes in OpenAI's way, `bytes:\xe2\x80`, so that different tokens
 * have different texts.
 */
export function tokenText(
  { bytesOf, idOf, tokenOf }: Pick<Tokenizer, 'bytesOf' | 'idOf' | 'tokenOf'>,
  id: number,
): string {
  const bytes = bytesOf(id, { continues: true });
  const isByte = bytes.length === 1 && /^<0x..>$/.test(tokenOf(id) ?? '');
  try {
    const text = utf8.decode(bytes);
    if (!isByte || (text !== ' ' && idOf(text) === undefined)) return text;
  } catch {
    // A fatal decoder reports bytes that are no whole characters only by throwing.
  }
  return `bytes:${Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`;
}
