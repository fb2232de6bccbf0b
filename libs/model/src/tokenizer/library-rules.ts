/**
 * Rules of a `tokenizer.json` in the terms in which @huggingface/tokenizers computes them as Python's `tokenizers` does.
 * `library.test.ts` has a text for each on which the two differ otherwise.
 */

/** Llama 3 and Qwen have them; the library folds ASCII alone, and Unicode's ſ is an s as well. */
const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const FOLDED = "(?:'[sSſ]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])";

/** A normalizer, pre-tokenizer or decoder as it stands in the file. */
export type Rule = Readonly<Record<string, unknown>>;

/** GPT-2's regular expression. */
const GPT2 = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;
const PUNCTUATION = '[\\p{P}!-/:-@\\[-`{-~]';

/** @throws Error for a rule that cannot be computed */
export const rewrittenPreTokenizer = (rule: unknown): unknown =>
  eachRule(rule, (one) => {
    switch (one.type) {
      case 'Digits':
        // The library's digits are those of ASCII: ½, ² and ٣ are digits too.
        return split(one.individual_digits ? '\\p{N}' : '\\p{N}+', 'Isolated');
      case 'ByteLevel':
        return byteLevel(one);
      case 'Metaspace':
        return one.split === false ? one : metaspace(one);
      case 'Punctuation':
        return rewrittenSplit({ ...split(PUNCTUATION, `${one.behavior ?? 'Isolated'}`) });
      case 'Whitespace':
        // Its words are those of ASCII in the library.
        return { ...split('\\w+|[^\\w\\s]+', 'Removed'), invert: true };
      case 'Split':
        return rewrittenSplit(one);
      default:
        return literal(one) as Rule;
    }
  });

/** A normalizer or decoder in which `$&` stands for itself: the library takes it for a pattern of JavaScript. */
export const literal = (rule: unknown): unknown =>
  eachRule(rule, (one) =>
    one.type === 'Replace' && typeof one.content === 'string'
      ? { ...one, content: one.content.replaceAll('$', '$$$$') }
      : one,
  );

/** The normalizer or pre-tokenizer without the space that a tokenizer puts before a text of its own. */
export const withoutPrefix = (rule: unknown): unknown =>
  eachRule(rule, (one) => {
    switch (one.type) {
      case 'Prepend':
        return null;
      case 'Metaspace':
        return { ...one, prepend_scheme: 'never' };
      case 'ByteLevel':
        return one.add_prefix_space ? { ...one, add_prefix_space: false } : one;
      default:
        return one;
    }
  });

/** The decoder without the taking away of that space. */
export const withoutStripping = (rule: unknown): unknown =>
  eachRule(rule, (one) => {
    switch (one.type) {
      case 'Metaspace':
        return { ...one, prepend_scheme: 'never' };
      case 'Strip':
        return one.content === ' ' ? { ...one, start: 0 } : one;
      default:
        return one;
    }
  });

/** Applies a change to every rule of a sequence, or to the only one; null takes it away. */
export function eachRule(rule: unknown, change: (rule: Rule) => Rule | null): unknown {
  if (typeof rule !== 'object' || rule === null) return null;
  for (const key of ['normalizers', 'pretokenizers', 'decoders']) {
    const rules = (rule as Rule)[key];
    if (Array.isArray(rules))
      return { ...rule, [key]: rules.map((one) => eachRule(one, change)).filter((one) => one !== null) };
  }
  return change(rule as Rule);
}

const sequence = (...pretokenizers: Rule[]): Rule => ({ type: 'Sequence', pretokenizers });
const split = (regex: string, behavior: string): Rule => ({
  type: 'Split',
  pattern: { Regex: regex },
  behavior,
  invert: false,
});

/** JavaScript's \s has U+FEFF and lacks U+0085; in a `Split` the library writes it as White_Space. */
function byteLevel(rule: Rule): Rule {
  const bytes = { ...rule, use_regex: false, add_prefix_space: false };
  const space = { type: 'Replace', pattern: { Regex: '\\A([^ ])' }, content: ' $1' };
  return sequence(
    ...(rule.add_prefix_space ? [space] : []),
    ...(rule.use_regex === false ? [] : [split(GPT2, 'Isolated')]),
    bytes,
  );
}

/** The library splits nothing: two spaces in a row would be one token where the vocabulary has it. */
function metaspace(rule: Rule): Rule {
  const mark = escaped(`${rule.replacement ?? '▁'}`);
  return sequence(rule, rewrittenSplit(split(mark, 'MergedWithNext')));
}

/** The library knows matches alone, and matches with what is between them. */
function rewrittenSplit(rule: Rule): Rule {
  const { Regex: regex, String: text = '' } = rule.pattern as {
    readonly Regex?: string;
    readonly String?: string;
  };
  const match = regex?.replace(CONTRACTIONS, FOLDED) ?? escaped(text);
  const between = `(?:(?!${match})[\\s\\S])`;
  const pieces = (pattern: string): Rule => ({ ...split(pattern, 'Removed'), invert: true });
  const behavior = `${rule.behavior}`;
  if (rule.invert && !['Isolated', 'Removed'].includes(behavior))
    throw new Error(`pre_tokenizer: expected a Split of ${behavior} not to be inverted`);
  switch (behavior) {
    case 'MergedWithPrevious':
      return pieces(`${between}*(?:${match})|${between}+`);
    case 'MergedWithNext':
      return pieces(`(?:${match})${between}*|${between}+`);
    case 'Contiguous':
      return pieces(`(?:${match})+|${between}+`);
    case 'Removed':
      return { ...split(match, behavior), invert: rule.invert };
    default:
      return split(match, behavior);
  }
}

/** The regular expression of a text. */
export const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
