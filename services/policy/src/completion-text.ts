/** The text of a completion while it grows: which part of it is certain, and where it stops. */
import type { GrowingText } from '@rlhf-streams/model/tokenizer';

/** A token by itself: its text, or its bytes where it is a part of a character (`bytes:\\xe2\\x80`). */
export interface TokenInWords {
  readonly token: string;
  /** What it adds to a text in UTF-8; special tokens add nothing. */
  readonly bytes: readonly number[] | null;
}

/** A token of a text as `logprobs` report it. */
export interface TokenReport extends TokenInWords {
  /** The first token of a sequence has none, since no token comes before it; nor has it `likeliest`. */
  readonly logprob?: number;
  /** The likeliest tokens in its place, the likeliest first. */
  readonly likeliest?: readonly (TokenInWords & { readonly logprob: number })[];
}

/** A token and where in the text it begins, in Unicode characters. */
export interface PlacedToken extends TokenReport {
  readonly offset: number;
}

/** A piece of a completion. */
export interface Piece {
  readonly text: string;
  /** Reports of the tokens that begin in it; none when no reports were added. */
  readonly tokens: readonly PlacedToken[];
}

export interface CompletionText {
  /** Adds the next token. true: the text has come to a stop, and no further token belongs to it. */
  add(token: number, report?: TokenReport): boolean;
  /** The part of the text that is certain and was not taken before; undefined when there is none. */
  take(): Piece | undefined;
  /** The whole text, which ends before the stop, and the count of its tokens. Called when no token will be added. */
  end(): Piece & { readonly count: number; readonly stopped: boolean };
}

/** Neither what the text itself leaves open nor what may be the beginning of a stop is certain until the next tokens come. */
export function createCompletionText(growing: GrowingText, stops: readonly string[]): CompletionText {
  /** Where each token begins in the text, in UTF-16 units, and in characters. */
  const starts: number[] = [];
  let offset = 0;
  const placed: PlacedToken[] = [];
  let stop: number | undefined;
  let taken = { text: 0, tokens: 0 };

  return {
    add(token, report) {
      const [before, wasWhole] = [growing.text.length, growing.isWhole];
      growing.add(token);
      const { text } = growing;
      // Bytes that this token does not complete to a character become a U+FFFD: the token begins after it.
      const start = !wasWhole && text[before] === '\ufffd' ? before + 1 : before;
      offset += charactersIn(text, starts.at(-1) ?? 0, start);
      starts.push(start);
      if (report) placed.push({ ...report, offset });
      stop = firstStop(text, stops);
      return stop !== undefined;
    },
    take() {
      const { text } = growing;
      const until = stop ?? certainLength(text, growing.certain, stops);
      if (until <= taken.text) return undefined;
      const from = taken;
      let next = from.tokens;
      while (next < placed.length && starts[next]! < until) next++;
      taken = { text: until, tokens: next };
      return { text: text.slice(from.text, until), tokens: placed.slice(from.tokens, next) };
    },
    end() {
      const { whole } = growing;
      const at = firstStop(whole, stops);
      const after = at === undefined ? -1 : starts.findIndex((start) => start >= at);
      const count = after < 0 ? starts.length : after;
      return { text: whole.slice(0, at), tokens: placed.slice(0, count), count, stopped: at !== undefined };
    },
  };
}

/** Where the first stop in a text begins. */
function firstStop(text: string, stops: readonly string[]): number | undefined {
  const starts = stops.map((stop) => text.indexOf(stop)).filter((start) => start >= 0);
  return starts.length > 0 ? Math.min(...starts) : undefined;
}

/** Characters between two places; those of a cleaned-up text may go back by a space. */
const charactersIn = (text: string, from: number, to: number): number =>
  to < from ? -[...text.slice(to, from)].length : [...text.slice(from, to)].length;

/** The length of the part of the first `length` units that does not begin a stop. */
function certainLength(text: string, length: number, stops: readonly string[]): number {
  const longest = Math.max(0, ...stops.map((stop) => stop.length));
  for (let from = Math.max(0, length - longest + 1); from < length; from++)
    if (stops.some((stop) => stop.startsWith(text.slice(from, length)))) return from;
  return length;
}
