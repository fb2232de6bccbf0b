import type { MiddlewareHandler } from 'hono';
import { methodNotAllowed } from 'hono/method-not-allowed';
import type { Http } from './openapi.js';
import { problem, problemAnswer } from './problem.js';

/** Answers methods that a path of `app` does not have: OPTIONS with those that it has, others with a 405 that lists them. */
export const answerMethods = (app: Http): MiddlewareHandler =>
  methodNotAllowed({
    app,
    onMethodNotAllowed: (c, methods) => {
      const headers = { allow: methods.join(', ') };
      if (c.req.method === 'OPTIONS') return new Response(null, { status: 204, headers });
      const detail = `expected one of ${headers.allow}, got ${c.req.method}`;
      return problemAnswer(
        problem(405, 'METHOD_NOT_ALLOWED', 'Method not allowed', detail, { headers }),
        c.req.path,
      );
    },
  });
