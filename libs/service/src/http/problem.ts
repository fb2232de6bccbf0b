/** Errors as RFC 9457 problem details. */
import { STATUS_CODES } from 'node:http';
import { codeOf, isUnavailable } from '@rlhf-streams/bus';
import { HTTPException } from 'hono/http-exception';
import { z } from 'zod';

/** One mistake in what a client sent: `path` as in `config.beta` or `prompts[2].text`. */
export interface FieldError {
  readonly path: string;
  readonly message: string;
  readonly code: string;
}

/** The body of an error response, of media type application/problem+json. */
export interface ProblemDetails {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail?: string;
  /** Path of the request. */
  readonly instance: string;
  /** Stable and machine-readable. */
  readonly code: string;
  readonly errors?: readonly FieldError[];
}

interface ProblemMore {
  readonly errors?: readonly FieldError[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** An error that answers the client as it is: thrown by handlers, made by `problem`. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly detail: string | undefined;
  readonly errors: readonly FieldError[] | undefined;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, code: string, title: string, detail?: string, more: ProblemMore = {}) {
    super(detail ?? title, 'cause' in more ? { cause: more.cause } : undefined);
    this.status = status;
    this.code = code;
    this.title = title;
    this.detail = detail;
    this.errors = more.errors;
    this.headers = more.headers ?? {};
  }
}

/**
 * @example
 * throw problem(404, 'RUN_NOT_FOUND', 'No such run', `there is no run ${id}`);
 */
export const problem = (
  status: number,
  code: string,
  title: string,
  detail?: string,
  more?: ProblemMore,
): ProblemError => new ProblemError(status, code, title, detail, more);

const MAX_FIELD_ERRORS = 50;

/** What is wrong with a request, as its schema or somebody who knows better says it. */
interface Mistakes {
  readonly issues: readonly {
    readonly path: PropertyKey[];
    readonly message: string;
    readonly code: string;
  }[];
}

/** What a request's schema complains of, as a 400 with a path for every mistake. */
export function invalidRequest(error: Mistakes, where: string): ProblemError {
  const errors = error.issues
    .slice(0, MAX_FIELD_ERRORS)
    .map(({ path, message, code }) => ({ path: z.core.toDotPath(path), message, code }));
  return problem(400, 'INVALID_REQUEST', 'The request is not valid', `the ${where} does not fit its schema`, {
    errors,
    cause: error,
  });
}

/** As zod-openapi's `defaultHook`: failed validation becomes a problem. */
export function validationHook(result: { success: boolean; error?: unknown; target?: string }): void {
  if (!result.success) throw invalidRequest(result.error as z.ZodError, result.target ?? 'request');
}

/**
 * What a client may know of anything thrown. What is out of reach becomes a 503 with its code, and an unforeseen error a
 * 500; neither tells the error's message, which may name hosts, paths or secrets.
 */
export function toProblem(thrown: unknown): ProblemError {
  if (thrown instanceof ProblemError) return thrown;
  if (thrown instanceof HTTPException) {
    const { status, message } = thrown;
    if (message.startsWith('Malformed JSON')) {
      return problem(400, 'MALFORMED_JSON', 'The body is not JSON', 'expected the body to be JSON', {
        cause: thrown,
      });
    }
    if (status === 415)
      return problem(415, 'UNSUPPORTED_MEDIA_TYPE', 'The body is not declared as JSON', message, {
        cause: thrown,
      });
    return problem(status, `HTTP_${status}`, STATUS_CODES[status] ?? 'Error', message || undefined, {
      cause: thrown,
    });
  }
  if (isUnavailable(thrown)) {
    const options = { cause: thrown, headers: { 'retry-after': '5' } };
    return problem(503, codeOf(thrown), 'What the answer needs is out of reach', undefined, options);
  }
  return problem(500, 'INTERNAL', 'Internal error', undefined, { cause: thrown });
}

export function problemAnswer(error: ProblemError, instance: string): Response {
  const { status, code, title, detail, errors, headers } = error;
  const body: ProblemDetails = {
    type: `urn:problem-type:${code.toLowerCase().replaceAll('_', '-')}`,
    title,
    status,
    ...(detail !== undefined && { detail }),
    instance,
    code,
    ...(errors && { errors }),
  };
  return new Response(JSON.stringify(body), {
    status,
    headers: { ...headers, 'content-type': 'application/problem+json' },
  });
}
