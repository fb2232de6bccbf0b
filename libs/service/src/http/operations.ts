/** What operators ask every service: is it alive, is it ready, what does it measure. */

import { createRoute } from '@hono/zod-openapi';
import { type Logger, messageOf } from '@rlhf-streams/bus';
import { withDeadline } from '@rlhf-streams/waiting';
import { z } from 'zod';
import { type ServiceState, serviceStates } from '../life-cycle/life-cycle.js';
import type { Telemetry } from '../telemetry/port.js';
import { answerMethods } from './methods.js';
import { createHttp, type Http, jsonResponse } from './openapi.js';
import { problem, problemAnswer, toProblem } from './problem.js';

/** true when fine, else the reason why not; throwing is a reason too. */
export type Probe = () => true | string | Promise<true | string>;

export interface Readiness {
  /** Adds a condition for /readyz. */
  check(name: string, probe: Probe): void;
}

const PROBE_TIMEOUT_MS = 1000;

const Health = z.object({ service: z.string(), state: z.enum(serviceStates) }).meta({ id: 'Health' });
const Ready = z
  .object({
    service: z.string(),
    ready: z.boolean(),
    failing: z.record(z.string(), z.string()).optional().describe('what is not ready, and why'),
  })
  .meta({ id: 'Readiness' });

const healthRoute = createRoute({
  method: 'get',
  path: '/healthz',
  tags: ['operations'],
  summary: 'Whether the service is alive',
  responses: { 200: jsonResponse('It answers', Health, { service: 'policy', state: 'ready' }) },
});
const readyRoute = createRoute({
  method: 'get',
  path: '/readyz',
  tags: ['operations'],
  summary: 'Whether the service is ready',
  responses: {
    200: jsonResponse('It is ready', Ready, { service: 'policy', ready: true }),
    503: jsonResponse('It is not ready', Ready, {
      service: 'policy',
      ready: false,
      failing: { service: 'starting' },
    }),
  },
});
const metricsRoute = createRoute({
  method: 'get',
  path: '/metrics',
  tags: ['operations'],
  summary: 'What the service measures, for Prometheus',
  responses: {
    200: {
      description: 'Metrics',
      content: {
        'text/plain': { schema: z.string(), example: 'http_request_duration_seconds_count{route="/"} 3\n' },
      },
    },
  },
});

/**
 * /healthz, /readyz and /metrics of a service, before and after the service's own routes exist; everything else
 * goes to `app` while the service is ready.
 */
export function createOperations(about: {
  readonly name: string;
  readonly app: Http;
  readonly telemetry: Telemetry;
  readonly logger: Logger;
  readonly state: () => ServiceState;
}): { readonly outer: Http; readonly readiness: Readiness } {
  const { name, app, telemetry, logger, state } = about;
  const probes = new Map<string, Probe>();
  const outer = createHttp();
  outer.use(answerMethods(outer));
  for (const route of [healthRoute, readyRoute, metricsRoute]) app.openAPIRegistry.registerPath(route);

  outer.openapi(healthRoute, (c) => c.json({ service: name, state: state() }, 200));
  outer.openapi(readyRoute, async (c) => {
    const failing: Record<string, string> = {};
    if (state() !== 'ready') failing.service = state();
    await Promise.all(
      [...probes].map(async ([check, probe]) => {
        const answer = await ask(check, probe);
        if (answer !== true) failing[check] = answer;
      }),
    );
    const ready = Object.keys(failing).length === 0;
    return c.json({ service: name, ready, ...(!ready && { failing }) }, ready ? 200 : 503);
  });
  outer.openapi(metricsRoute, async (c) =>
    c.text(await telemetry.metricsText(), 200, {
      'content-type': 'text/plain; version=0.0.4; charset=utf-8',
    }),
  );
  outer.all('*', (c) => {
    if (state() === 'ready') return app.fetch(c.req.raw, c.env);
    const unready = problem(503, 'SERVICE_NOT_READY', 'The service is not ready', `${name} is ${state()}`, {
      headers: { 'retry-after': '1' },
    });
    return problemAnswer(unready, c.req.path);
  });
  outer.onError((err, c) => {
    logger.error({ err, path: c.req.path }, 'a request failed unexpectedly');
    return problemAnswer(toProblem(err), c.req.path);
  });
  return { outer, readiness: { check: (check, probe) => void probes.set(check, probe) } };
}

async function ask(check: string, probe: Probe): Promise<true | string> {
  try {
    return await withDeadline(probe, { ms: PROBE_TIMEOUT_MS, late: `readiness check ${check} to answer` });
  } catch (error) {
    return messageOf(error);
  }
}
