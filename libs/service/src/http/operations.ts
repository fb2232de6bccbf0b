/** What operators ask every service: is it alive, is it ready, what does it measure. */

import { type Logger, messageOf } from '@rlhf-streams/bus';
import { withDeadline } from '@rlhf-streams/waiting';
import { Hono } from 'hono';
import type { ServiceState } from '../life-cycle/life-cycle.js';
import type { Telemetry } from '../telemetry/port.js';
import { answerMethods } from './methods.js';
import { problem, problemResponse, toProblem } from './problem.js';

/** true when fine, else the reason why not; throwing is a reason too. */
export type Probe = () => true | string | Promise<true | string>;

export interface Readiness {
  /** Adds a condition for /readyz. */
  check(name: string, probe: Probe): void;
}

const PROBE_TIMEOUT_MS = 1000;

/**
 * /healthz, /readyz and /metrics of a service, before and after the service's own routes exist; everything else
 * goes to `app` while the service is ready.
 */
export function createOperations(about: {
  readonly name: string;
  readonly app: Hono;
  readonly telemetry: Telemetry;
  readonly logger: Logger;
  readonly state: () => ServiceState;
}): { readonly outer: Hono; readonly readiness: Readiness } {
  const { name, app, telemetry, logger, state } = about;
  const probes = new Map<string, Probe>();
  const outer = new Hono();
  outer.use(answerMethods(outer));

  outer.get('/healthz', (c) => c.json({ service: name, state: state() }));
  outer.get('/readyz', async (c) => {
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
  outer.get('/metrics', async (c) =>
    c.body(await telemetry.metricsText(), 200, {
      'content-type': 'text/plain; version=0.0.4; charset=utf-8',
    }),
  );
  outer.all('*', (c) => {
    if (state() === 'ready') return app.fetch(c.req.raw, c.env);
    const unready = problem(503, 'SERVICE_NOT_READY', 'The service is not ready', `${name} is ${state()}`, {
      headers: { 'retry-after': '1' },
    });
    return problemResponse(unready, c.req.path);
  });
  outer.onError((err, c) => {
    logger.error({ err, path: c.req.path }, 'a request failed unexpectedly');
    return problemResponse(toProblem(err), c.req.path);
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
