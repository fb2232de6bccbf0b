import { propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, type Tracer } from '@opentelemetry/api';
import type { MiddlewareHandler } from 'hono';
import { routePath } from 'hono/route';

/** A span a request, in the trace its `traceparent` names: what a handler publishes belongs to it. */
export const traced =
  (tracer: Tracer): MiddlewareHandler =>
  (c, next) => {
    const { method, path } = c.req;
    const parent = propagation.extract(ROOT_CONTEXT, { traceparent: c.req.header('traceparent') });
    const attributes = { 'http.request.method': method, 'url.path': path };
    return tracer.startActiveSpan(method, { kind: SpanKind.SERVER, attributes }, parent, async (span) => {
      try {
        await next();
        span.updateName(`${method} ${routePath(c, -1)}`);
        span.setAttribute('http.response.status_code', c.res.status);
        if (c.res.status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
      } finally {
        span.end();
      }
    });
  };
