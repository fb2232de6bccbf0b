import type { Meter, Tracer } from '@opentelemetry/api';
import { type Logger, SECONDS } from '@rlhf-streams/bus';
import { Hono } from 'hono';
import { routePath } from 'hono/route';
import { wholeBody } from './body.js';
import { answerMethods } from './methods.js';
import { problem, problemResponse, toProblem } from './problem.js';
import { traced } from './tracing.js';

export interface AppOptions {
  readonly logger: Logger;
  readonly meter: Meter;
  readonly tracer: Tracer;
  readonly bodyLimitBytes: number;
}

/** A Hono app that logs, measures and traces requests, limits bodies, and answers every error with problem details. */
export function createApp({ logger, meter, tracer, bodyLimitBytes }: AppOptions): Hono {
  const app = new Hono();
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

  app.notFound((c) =>
    problemResponse(problem(404, 'NOT_FOUND', 'Not found', `there is nothing at ${c.req.path}`), c.req.path),
  );
  app.onError((err, c) => {
    const answer = toProblem(err);
    const { method, path } = c.req;
    if (answer.code === 'INTERNAL') logger.error({ err, method, path }, 'a request failed unexpectedly');
    return problemResponse(answer, path);
  });
  return app;
}
