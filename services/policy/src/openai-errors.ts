/** Problem details with the member that OpenAI's clients look for. */
import type { ProblemDetails } from '@rlhf-streams/service';
import type { MiddlewareHandler } from 'hono';

type Known = Pick<ProblemDetails, 'status' | 'code' | 'title' | 'detail' | 'errors'>;

/** Adds `error` to the problems of the routes it is used on. */
export const withOpenAIErrors: MiddlewareHandler = async (c, next) => {
  await next();
  if (c.res.headers.get('content-type') !== 'application/problem+json') return;
  const problem = (await c.res.json()) as ProblemDetails;
  c.res = new Response(JSON.stringify({ ...problem, error: openAIError(problem) }), c.res);
};

/** What OpenAI's clients throw: `message`, and `param` where one parameter is to blame. */
export function openAIError({ status, code, title, detail, errors }: Partial<Known>) {
  const mistakes = errors?.map(({ path, message }) => (path ? `${path}: ${message}` : message)).join('; ');
  return {
    message: (code === 'INVALID_REQUEST' && mistakes) || (detail ?? title ?? 'Internal error'),
    type: status !== undefined && status < 500 ? 'invalid_request_error' : 'server_error',
    param: errors?.[0]?.path || null,
    code: (code ?? 'INTERNAL').toLowerCase(),
  };
}
