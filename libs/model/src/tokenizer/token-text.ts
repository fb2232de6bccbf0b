import { byteAlphabet } from './bpe-trainer.js';
import type { Tokenizer } from './tokenizer.js';

const byteOf = new Map(byteAlphabet().map((character, byte) => [character, byte]));
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The text of one token by itself. A token that is a part of a character is spelt as its bytes in OpenAI's way,
 * `bytes:\xe2\x80`, so that different tokens of a byte-level vocabulary have different texts.
 */
export function tokenText({ tokenOf, decode }: Pick<Tokenizer, 'tokenOf' | 'decode'>, id: number): string {
  const bytes = Array.from(tokenOf(id) ?? '', (character) => byteOf.get(character));
  if (!bytes.every((byte) => byte !== undefined)) return decode([id]);
  try {
    return utf8.decode(Uint8Array.from(bytes));
  } catch {
    // A fatal decoder reports bytes that are no whole characters only by throwing.
    return `bytes:${bytes.map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`;
  }
}
