/** Requests to a scorer or judge: JSON in, JSON out, with a time limit, retries, and a token that nobody else sees. */
import { pause, retry, withDeadline } from '@rlhf-streams/waiting';
import { ScorerError } from './errors.js';

export interface Endpoint {
  /** For errors, in place of its address. */
  readonly name: string;
  readonly url: string;
  /** Sent as `Authorization: Bearer`. Never part of an error, also where an answer repeats it. */
  readonly token?: string | undefined;
  /** Milliseconds that an attempt may take, its answer included. */
  readonly timeoutMs: number;
  /** Attempts after the first. */
  readonly retries: number;
  /** Called before each attempt; what it throws ends the request. */
  readonly onAttempt?: (() => Promise<void>) | undefined;
  /** Called after an attempt that nobody served: the connection failed, or the status is of `SCORER_UNAVAILABLE`. */
  readonly onUnserved?: (() => Promise<void>) | undefined;
  /** Ends the request, with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** The longest that a scorer may have the next attempt wait, by `Retry-After`. */
const MOST_WAIT_MS = 60_000;
const MOST_BYTES = 16 * 1024 * 1024;
const LONGEST_QUOTE = 200;

/** Whose fault a status is, and whether another attempt may go better. Any other status is a failure of the scorer. */
const statuses: Readonly<
  Record<number, readonly [code: 'SCORER_UNAVAILABLE' | 'SCORER_REFUSED', why: string, again: boolean]>
> = {
  401: ['SCORER_UNAVAILABLE', 'it accepts no token, or not this one', false],
  403: ['SCORER_UNAVAILABLE', 'the token may not do this', false],
  404: ['SCORER_UNAVAILABLE', 'there is nothing at its URL', false],
  408: ['SCORER_UNAVAILABLE', 'it waited too long for the request', true],
  429: ['SCORER_UNAVAILABLE', 'it takes no more requests for now', true],
  502: ['SCORER_UNAVAILABLE', 'a proxy in front of it does not reach it', true],
  503: ['SCORER_UNAVAILABLE', 'it is not available', true],
  504: ['SCORER_UNAVAILABLE', 'a proxy in front of it waited too long', true],
};

/**
 * The JSON that answers `body`.
 * @throws ScorerError SCORER_UNAVAILABLE, SCORER_TIMEOUT, SCORER_FAILED, SCORER_REFUSED, SCORER_ANSWER; what `onAttempt`
 *   throws; the reason of `signal`
 */
export function postJson(endpoint: Endpoint, body: unknown): Promise<unknown> {
  const { timeoutMs, retries, signal, onAttempt, onUnserved } = endpoint;
  const text = JSON.stringify(body);
  /** Whether the last attempt failed by what may be over at the next, and the milliseconds that it asked to wait until then. */
  let again = false;
  let waitMs = 0;
  const attempt = async (): Promise<unknown> => {
    if (waitMs > 0) await pause(waitMs, signal);
    again = false;
    waitMs = 0;
    await onAttempt?.();
    const fail: Fail = (isTransient, error, asked = 0) => {
      again = isTransient;
      waitMs = Math.min(asked, MOST_WAIT_MS);
      throw error;
    };
    const answer = withDeadline((until) => exchange(endpoint, text, until, fail), {
      ms: timeoutMs,
      late: () => {
        again = true;
        return new ScorerError(
          'SCORER_TIMEOUT',
          `expected ${endpoint.name} to answer within ${timeoutMs} ms`,
        );
      },
      signal,
    });
    return answer.catch(async (error) => {
      if (error instanceof ScorerError && error.unavailable) await onUnserved?.();
      throw error;
    });
  };
  return retry(attempt, { shouldRetry: () => again, retries, signal });
}

type Fail = (isTransient: boolean, error: ScorerError, waitMs?: number) => never;

async function exchange(
  { name, url, token }: Endpoint,
  body: string,
  signal: AbortSignal,
  fail: Fail,
): Promise<unknown> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json',
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      },
      body,
      redirect: 'manual',
      signal,
    });
    text = await textOf(response);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ScorerError) throw error;
    const { cause } = error as { cause?: { code?: string; message?: string } };
    return fail(
      true,
      new ScorerError(
        'SCORER_UNAVAILABLE',
        `expected ${name} to answer, but the connection failed (${cause?.code ?? cause?.message ?? (error as Error).name})`,
      ),
    );
  }
  if (token) text = text.replaceAll(token, '[token]');
  const { status } = response;
  if (response.ok) {
    try {
      return JSON.parse(text);
    } catch {
      throw new ScorerError('SCORER_ANSWER', `expected ${name} to answer with JSON, got ${quoted(text)}`);
    }
  }
  const said = `${name} answered with status ${status}`;
  const known = statuses[status];
  if (known) {
    const error = new ScorerError(known[0], `${said}: ${known[1]}`);
    return fail(known[2], error, retryAfterMs(response.headers.get('retry-after')));
  }
  if (status < 400)
    throw new ScorerError(
      'SCORER_UNAVAILABLE',
      `${said}: redirects are not followed, declare the URL that they lead to`,
    );
  if (status < 500) throw new ScorerError('SCORER_REFUSED', `${said}: ${quoted(text)}`);
  return fail(true, new ScorerError('SCORER_FAILED', `${said}: ${quoted(text)}`));
}

/** Milliseconds that `Retry-After` asks for, in seconds or by a date (RFC 9110, section 10.2.3); 0 where it says neither. */
function retryAfterMs(header: string | null): number {
  if (header === null) return 0;
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) && ms > 0 ? ms : 0;
}

/** The body, unless it is so long that it would fill the memory. */
async function textOf({ body }: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MOST_BYTES)
      throw new ScorerError('SCORER_ANSWER', `expected an answer of at most ${MOST_BYTES} bytes, got more`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

const quoted = (text: string): string =>
  text.trim() === '' ? 'nothing' : JSON.stringify(text.trim().slice(0, LONGEST_QUOTE));
