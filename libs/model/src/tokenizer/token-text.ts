import { byteAlphabet } from './bpe-trainer.js';
import type { Tokenizer } from './tokenizer.js';

const byteOf = new Map(byteAlphabet().map((character, byte) => [character, byte]));
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The text of one token by itself; of one that is a part of a character its bytes, in OpenAI's spelling:
 * `bytes:\xe2\x80`. So different tokens of a byte-level vocabulary have different texts.
 */
export function tokenText({ tokenOf, decode }: Pick<Tokenizer, 'tokenOf' | 'decode'>, id: number): string {
  const bytes = Array.from(tokenOf(id) ?? '', (character) => byteOf.get(character));
  if (!bytes.every((byte) => byte !== undefined)) return decode([id]);
  try {
    return utf8.decode(Uint8Array.from(bytes));
  } catch {
    // Not whole characters: the decoder has no other way to say so.
    return `bytes:${bytes.map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`;
  }
}
