/**
 * Trains a byte-level byte-pair encoding in the manner of GPT-2 (Sennrich et al. 2016; Radford et al. 2019): the same
 * merges, in the same order, as Python's `tokenizers` finds with its BpeTrainer.
 */
import { ModelError } from '../errors.js';
import { byteAlphabet } from './byte-alphabet.js';
import type { TokenizerFiles } from './files.js';
import { createMaxHeap } from './max-heap.js';
import { framing } from './post-processor.js';
import { END_OF_TEXT, PADDING } from './tokenizer.js';

export interface BpeTrainingOptions {
  /** Size of the vocabulary: special tokens, 256 bytes, merges. Texts with too few pairs give a smaller one. */
  vocabSize: number;
  /** Tokens that get the first ids: the end of text and, if there is a second, the padding. */
  specialTokens?: readonly string[];
  /** A pair seen less often is not merged. Default 2. */
  minFrequency?: number;
}

/** Splits a text before its pieces are merged: contractions, words, numbers, punctuation, with one space in front. */
const GPT2_PRE_TOKENS = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;
/** Keeps a pair of ids exact as one number. */
const MAX_VOCAB = 2 ** 20;

/**
 * Merges the most frequent pair of neighbouring tokens, again and again; among equally frequent pairs the one with the
 * smallest ids goes first. The same texts give the same tokenizer.
 * @returns the contents of `tokenizer.json` and `tokenizer_config.json`, for `loadTokenizer` or to be written
 * @throws MODEL_TOKENIZER_TRAINING
 */
export function trainByteLevelBpe(texts: Iterable<string>, options: BpeTrainingOptions): TokenizerFiles {
  const { vocabSize, specialTokens = [END_OF_TEXT, PADDING], minFrequency = 2 } = options;
  checkOptions(vocabSize, specialTokens, minFrequency);
  const alphabet = byteAlphabet();
  const tokens = [...specialTokens, ...[...alphabet].sort()];
  const idOf = new Map(tokens.map((token, id) => [token, id]));
  const idOfByte = alphabet.map((character) => idOf.get(character)!);
  const corpus = createPairIndex(countWords(texts, idOfByte));

  const merges: [string, string][] = [];
  while (idOf.size < vocabSize) {
    const pair = corpus.mostFrequent(minFrequency);
    if (pair === undefined) break;
    const [left, right] = [tokens[pair.left]!, tokens[pair.right]!];
    const merged = left + right;
    // No merge may make a special token: merging could then turn parts of a text into one.
    if (specialTokens.includes(merged)) continue;
    // Two ways to the same string share its id.
    const id = idOf.get(merged) ?? tokens.push(merged) - 1;
    idOf.set(merged, id);
    merges.push([left, right]);
    corpus.merge(pair.left, pair.right, id);
  }
  return { json: tokenizerJson(specialTokens, idOf, merges), config: tokenizerConfig(specialTokens) };
}

function checkOptions(vocabSize: number, specialTokens: readonly string[], minFrequency: number): void {
  const smallest = specialTokens.length + 256;
  if (!Number.isSafeInteger(vocabSize) || vocabSize < smallest || vocabSize > MAX_VOCAB) {
    throw new ModelError(
      'MODEL_TOKENIZER_TRAINING',
      `vocabSize must be an integer from ${smallest} (256 bytes and the special tokens) to ${MAX_VOCAB}, got ${vocabSize}.`,
    );
  }
  const wrong = specialTokens.find((token, i) => token.length < 2 || specialTokens.indexOf(token) !== i);
  if (specialTokens.length === 0 || wrong !== undefined) {
    throw new ModelError(
      'MODEL_TOKENIZER_TRAINING',
      `specialTokens must be distinct strings of two or more characters, at least an end of text, got ${JSON.stringify(specialTokens)}.`,
    );
  }
  if (!Number.isSafeInteger(minFrequency) || minFrequency < 1) {
    throw new ModelError(
      'MODEL_TOKENIZER_TRAINING',
      `minFrequency must be a positive integer, got ${minFrequency}.`,
    );
  }
}

interface Word {
  ids: number[];
  count: number;
}

function countWords(texts: Iterable<string>, idOfByte: readonly number[]): Word[] {
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const word of text.match(GPT2_PRE_TOKENS) ?? []) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const encoder = new TextEncoder();
  return Array.from(counts, ([word, count]) => ({
    ids: Array.from(encoder.encode(word), (byte) => idOfByte[byte]!),
    count,
  }));
}

/** Counts of all pairs of neighbours in the words, kept up to date from merge to merge. */
function createPairIndex(words: readonly Word[]) {
  const counts = new Map<number, number>();
  const wordsOf = new Map<number, Set<Word>>();
  // Counts in the heap may be out of date, but only too high: a pair is weighed again when it comes to the top.
  const heap = createMaxHeap();

  for (const word of words) addPairs(word);
  for (const [pair, count] of counts) heap.push(count, pair);

  return {
    mostFrequent(minFrequency: number): { left: number; right: number } | undefined {
      for (let top = heap.pop(); top !== undefined; top = heap.pop()) {
        const count = counts.get(top.key) ?? 0;
        if (count === top.priority && count >= minFrequency) {
          return { left: Math.floor(top.key / MAX_VOCAB), right: top.key % MAX_VOCAB };
        }
        if (count >= minFrequency && count < top.priority) heap.push(count, top.key);
      }
      return undefined;
    },

    merge(left: number, right: number, merged: number): void {
      const changed = new Set<number>();
      for (const word of wordsOf.get(left * MAX_VOCAB + right) ?? []) {
        forEachPair(word, (pair) => counts.set(pair, counts.get(pair)! - word.count));
        word.ids = mergePair(word.ids, left, right, merged);
        addPairs(word);
        forEachPair(word, (pair, a, b) => {
          if (a === merged || b === merged) changed.add(pair);
        });
      }
      wordsOf.delete(left * MAX_VOCAB + right);
      for (const pair of changed) heap.push(counts.get(pair)!, pair);
    },
  };

  function addPairs(word: Word): void {
    forEachPair(word, (pair) => {
      counts.set(pair, (counts.get(pair) ?? 0) + word.count);
      const holders = wordsOf.get(pair);
      if (holders) holders.add(word);
      else wordsOf.set(pair, new Set([word]));
    });
  }
}

function forEachPair({ ids }: Word, visit: (pair: number, left: number, right: number) => void): void {
  for (let i = 1; i < ids.length; i++) visit(ids[i - 1]! * MAX_VOCAB + ids[i]!, ids[i - 1]!, ids[i]!);
}

function mergePair(ids: readonly number[], left: number, right: number, merged: number): number[] {
  const result: number[] = [];
  for (let i = 0; i < ids.length; i++) {
    if (ids[i] === left && ids[i + 1] === right) {
      result.push(merged);
      i++;
    } else {
      result.push(ids[i]!);
    }
  }
  return result;
}

function tokenizerJson(
  specialTokens: readonly string[],
  idOf: ReadonlyMap<string, number>,
  merges: readonly [string, string][],
) {
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: specialTokens.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    // The end of text also begins one, as it stood between the documents that GPT-2 was trained on.
    post_processor: framing([{ token: specialTokens[0]!, id: 0 }], [], {
      type: 'ByteLevel',
      add_prefix_space: true,
      trim_offsets: false,
      use_regex: true,
    }),
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(idOf),
      merges,
    },
  };
}

function tokenizerConfig([endOfText, pad]: readonly string[]) {
  return {
    tokenizer_class: 'PreTrainedTokenizerFast',
    bos_token: endOfText,
    eos_token: endOfText,
    pad_token: pad ?? endOfText,
    clean_up_tokenization_spaces: false,
  };
}
