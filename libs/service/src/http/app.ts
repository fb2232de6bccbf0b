import {
  type Meter,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  type Tracer,
} from '@opentelemetry/api';
import { type Logger, SECONDS } from '@rlhf-streams/bus';
import type { MiddlewareHandler } from 'hono';
import { routePath } from 'hono/route';
import { wholeBody } from './body.js';
import { answerMethods } from './methods.js';
import { type ApiDescription, addDocument, createHttp, type Http } from './openapi.js';
import { problem, problemAnswer, toProblem } from './problem.js';

export interface AppOptions {
  readonly name: string;
  readonly api: ApiDescription;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly tracer: Tracer;
  readonly bodyLimitBytes: number;
}

/** An app that documents its routes, logs, measures and traces requests, limits bodies, and answers every error with problem details. */
export function createApp({ name, api, logger, meter, tracer, bodyLimitBytes }: AppOptions): Http {
  const app = createHttp();
  const duration = meter.createHistogram('http_request_duration_seconds', {
    description: 'Until the response begins',
    advice: { explicitBucketBoundaries: SECONDS },
  });

  app.use(async (c, next) => {
    const begun = performance.now();
    await next();
    const seconds = (performance.now() - begun) / 1000;
    const { method, path } = c.req;
    const { status } = c.res;
    duration.record(seconds, { method, route: routePath(c, -1), status });
    logger.debug({ method, path, status, ms: Math.round(seconds * 1000) }, 'request');
  });
  app.use(traced(tracer));
  app.use(answerMethods(app));
  app.use(wholeBody(bodyLimitBytes));
  addDocument(app, name, api);

  app.notFound((c) =>
    problemAnswer(problem(404, 'NOT_FOUND', 'Not found', `there is nothing at ${c.req.path}`), c.req.path),
  );
  app.onError((err, c) => {
    const answer = toProblem(err);
    const { method, path } = c.req;
    if (answer.code === 'INTERNAL') logger.error({ err, method, path }, 'a request failed unexpectedly');
    return problemAnswer(answer, path);
  });
  return app;
}

/** Makes each request a span, in the trace that its `traceparent` names: what a handler publishes belongs to it. */
const traced =
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
