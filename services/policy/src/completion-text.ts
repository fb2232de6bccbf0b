/** The text of a completion while it grows: what of it is certain, and where it stops. */
/** A token of a text as OpenAI's legacy `logprobs` tell of it. */
export interface TokenReport {
  readonly token: string;
  /** Absent of a first token, which nothing comes before, as are the others. */
  readonly logprob?: number;
  /** The likeliest tokens and this one. */
  readonly top?: Readonly<Record<string, number>>;
}

/** A token and where in the text it begins, in Unicode characters. */
export interface PlacedToken extends TokenReport {
  readonly offset: number;
}

/** A stretch of a completion. */
export interface Piece {
  readonly text: string;
  /** The tokens that begin in it, where they were reported. */
  readonly tokens: readonly PlacedToken[];
}

export interface CompletionText {
  /** true: the text has come to a stop; no further token belongs to it. */
  add(token: number, report?: TokenReport): boolean;
  /** What is certain and was not taken before, if anything is. */
  take(): Piece | undefined;
  /** All of it, up to and without the stop, and how many tokens that is; for when no token will be added. */
  end(): Piece & { readonly count: number; readonly stopped: boolean };
}

/**
 * Held back until the next tokens tell: a character of which some bytes are missing, a space or a quote that a tokenizer
 * with `clean_up_tokenization_spaces` may take away, and what may be the beginning of a stop.
 */
export function createCompletionText(
  decode: (tokens: readonly number[]) => string,
  stops: readonly string[],
): CompletionText {
  const tokens: number[] = [];
  /** Where each token begins in the text, in UTF-16 units. */
  const starts: number[] = [];
  const placed: PlacedToken[] = [];
  /** Without a character of which bytes are missing. */
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
      // What was not whole and has become no character now is one U+FFFD of its own: the token begins after it.
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
  const places = stops.map((stop) => text.indexOf(stop)).filter((place) => place >= 0);
  return places.length > 0 ? Math.min(...places) : undefined;
}

/** What `clean_up_tokenization_spaces` may change when the text goes on. */
const CLEANED_UP = /(?: (?:n'?|'[vr]?)?|')$/;

/** So much of the text stays as it is whatever comes after it. */
function certainLength(text: string, stops: readonly string[]): number {
  const { length } = text.replace(CLEANED_UP, '');
  const longest = Math.max(0, ...stops.map((stop) => stop.length));
  for (let from = Math.max(0, length - longest + 1); from < length; from++)
    if (stops.some((stop) => stop.startsWith(text.slice(from, length)))) return from;
  return length;
}
