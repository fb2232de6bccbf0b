import type { MiddlewareHandler } from 'hono';
import { problem } from './problem.js';

/** Whether a Content-Type declares JSON: application/json, or a type that ends in +json. */
export const isJson = (contentType: string | null | undefined): boolean =>
  /^application\/([\w.-]+\+)?json\s*(;|$)/i.test(contentType ?? '');

/** @throws ProblemError 415 UNSUPPORTED_MEDIA_TYPE, also of a request without a body, which declares none. */
export function expectJson(contentType: string | undefined): void {
  if (isJson(contentType)) return;
  throw problem(
    415,
    'UNSUPPORTED_MEDIA_TYPE',
    'The body is not declared as JSON',
    `expected content-type application/json, got ${contentType ?? 'none'}`,
  );
}

/** Refuses requests with a body of another type, in routes that read theirs themselves. */
export const requireJson: MiddlewareHandler = async (c, next) => {
  expectJson(c.req.header('content-type'));
  await next();
};
