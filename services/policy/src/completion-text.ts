/** The text of a completion while it grows: which part of it is certain, and where it stops. */

/** A token of a text as OpenAI's legacy `logprobs` report it. */
export interface TokenReport {
  readonly token: string;
  /** The first token of a sequence has none, since no token comes before it; nor has it `top`. */
  readonly logprob?: number;
  /** Log-probs of the likeliest tokens, and of this one, by their text. */
  readonly top?: Readonly<Record<string, number>>;
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

/**
 * Three things are not certain until the next tokens come: a character of which some bytes are missing, a space or a
 * quote that a tokenizer with `clean_up_tokenization_spaces` may take away, and what may be the beginning of a stop.
 */
export function createCompletionText(
  decode: (tokens: readonly number[]) => string,
  stops: readonly string[],
): CompletionText {
  const tokens: number[] = [];
  /** Where each token begins in the text, in UTF-16 units. */
  const starts: number[] = [];
  const placed: PlacedToken[] = [];
  /** The text, without the character at its end of which bytes are missing. */
  let text = '';
  let isWhole = true;
  let stop: number | undefined;
  let taken = { text: 0, tokens: 0 };

  return {
    add(token, report) {
      const [before, wasWhole] = [text.length, isWhole];
      tokens.push(token);
      const decoded = decode(tokens);
      isWhole = !decoded.endsWith('\ufffd');
      text = isWhole ? decoded : decoded.slice(0, -1);
      // Bytes that this token does not complete to a character become a U+FFFD: the token begins after it.
      const start = !wasWhole && text[before] === '\ufffd' ? before + 1 : before;
      starts.push(start);
      if (report) placed.push({ ...report, offset: [...text.slice(0, start)].length });
      stop = firstStop(text, stops);
      return stop !== undefined;
    },
    take() {
      const until = stop ?? certainLength(text, stops);
      if (until <= taken.text) return undefined;
      const from = taken;
      let next = from.tokens;
      while (next < placed.length && starts[next]! < until) next++;
      taken = { text: until, tokens: next };
      return { text: text.slice(from.text, until), tokens: placed.slice(from.tokens, next) };
    },
    end() {
      const whole = decode(tokens);
      const at = firstStop(whole, stops);
      const after = at === undefined ? -1 : starts.findIndex((start) => start >= at);
      const count = after < 0 ? tokens.length : after;
      return { text: whole.slice(0, at), tokens: placed.slice(0, count), count, stopped: at !== undefined };
    },
  };
}

/** Where the first stop in a text begins. */
function firstStop(text: string, stops: readonly string[]): number | undefined {
  const starts = stops.map((stop) => text.indexOf(stop)).filter((start) => start >= 0);
  return starts.length > 0 ? Math.min(...starts) : undefined;
}

/** The end of a text that `clean_up_tokenization_spaces` may change when the text goes on. */
const CLEANED_UP = /(?: (?:n'?|'[vr]?)?|')$/;

/** The length of the part that stays as it is, whatever comes after the text. */
function certainLength(text: string, stops: readonly string[]): number {
  const { length } = text.replace(CLEANED_UP, '');
  const longest = Math.max(0, ...stops.map((stop) => stop.length));
  for (let from = Math.max(0, length - longest + 1); from < length; from++)
    if (stops.some((stop) => stop.startsWith(text.slice(from, length)))) return from;
  return length;
}
