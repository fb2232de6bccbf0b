/** The prompt that a chosen and a rejected text have in common. */

/** The turn marker of Anthropic's hh-rlhf, the usual dataset of this shape: the prompt reaches up to the last marker. */
const ASSISTANT_TURN = '\n\nAssistant:';

/** Letters of scripts that put spaces between words: only there does a cut inside a word need moving. */
const SPACED_WORD = /^[\p{L}\p{N}\p{M}_'’-]$/u;
const UNSPACED_SCRIPT =
  /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]$/u;

/**
 * Takes the common prefix of `chosen` and `rejected` as the prompt, as TRL does, and cuts it where a prompt
 * could end: after the last "\n\nAssistant:" in it, else between words, with the space that follows the prompt
 * left to the completions. Something is always left on both sides. `prompt + chosen` is the old `chosen`.
 *
 * @returns undefined if they have no prefix to be the prompt
 */
export function splitImplicitPrompt(
  chosen: string,
  rejected: string,
): Record<'prompt' | 'chosen' | 'rejected', string> | undefined {
  const cut = cutPoint(chosen, rejected);
  if (cut === 0) return undefined;
  return { prompt: chosen.slice(0, cut), chosen: chosen.slice(cut), rejected: rejected.slice(cut) };
}

function cutPoint(chosen: string, rejected: string): number {
  // A cut at or past the end of either side's last word would leave it no completion.
  const end = Math.max(0, Math.min(chosen.trimEnd().length, rejected.trimEnd().length) - 1);
  const shared = chosen.slice(0, Math.min(end, commonPrefixLength(chosen, rejected)));
  const turn = shared.lastIndexOf(ASSISTANT_TURN);
  if (turn !== -1) return turn + ASSISTANT_TURN.length;

  let cut = shared.length;
  while (cut > 0 && !separates(chosen, rejected, cut)) cut -= 1;
  return cut;
}

/** Whether a prompt may end before index `cut`: not on a space, in a word, or in a surrogate pair. */
function separates(chosen: string, rejected: string, cut: number): boolean {
  const before = characterBefore(chosen, cut);
  if (before === ' ' || isHighSurrogate(chosen.charCodeAt(cut - 1))) return false;
  return !(isSpacedWord(before) && [chosen, rejected].some((side) => isSpacedWord(characterAt(side, cut))));
}

function commonPrefixLength(a: string, b: string): number {
  const most = Math.min(a.length, b.length);
  let length = 0;
  while (length < most && a[length] === b[length]) length += 1;
  return length;
}

function characterBefore(text: string, index: number): string {
  const low = text.charCodeAt(index - 1);
  const isPair = low >= 0xdc00 && low <= 0xdfff && index >= 2;
  return text.slice(isPair ? index - 2 : index - 1, index);
}

function characterAt(text: string, index: number): string {
  const point = text.codePointAt(index);
  return point === undefined ? '' : String.fromCodePoint(point);
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff;
}

function isSpacedWord(character: string): boolean {
  return SPACED_WORD.test(character) && !UNSPACED_SCRIPT.test(character);
}
