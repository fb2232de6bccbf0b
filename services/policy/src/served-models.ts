/** OpenAI's /v1/models: the policies on the log. */
import { createRoute } from '@hono/zod-openapi';
import { type PublishedVersion, type RunView, specOf } from '@rlhf-streams/runs';
import {
  jsonResponse,
  type ProblemError,
  problem,
  problemResponse,
  type ServiceContext,
} from '@rlhf-streams/service';
import { z } from 'zod';
import type { Policies } from './policies.js';

const Model = z
  .object({
    id: z.string().describe('the run'),
    object: z.literal('model'),
    created: z.int().describe('when the run was requested, in seconds'),
    owned_by: z.string(),
    version: z.int().describe('the newest'),
  })
  .meta({ id: 'Model' });
type Model = z.output<typeof Model>;
const Models = z.object({ object: z.literal('list'), data: z.array(Model) }).meta({ id: 'Models' });

const example: Model = {
  id: 'ppo-reviews',
  object: 'model',
  created: 1_772_442_720,
  owned_by: 'rlhf-streams',
  version: 42,
};

const listRoute = createRoute({
  method: 'get',
  path: '/v1/models',
  tags: ['openai'],
  summary: 'The policies on the log',
  responses: { 200: jsonResponse('Policies', Models, { object: 'list', data: [example] }) },
});

const showRoute = createRoute({
  method: 'get',
  path: '/v1/models/{id}',
  tags: ['openai'],
  summary: 'A policy',
  request: { params: z.object({ id: z.string().meta({ description: 'a run', example: 'ppo-reviews' }) }) },
  responses: {
    200: jsonResponse('The policy', Model, example),
    400: problemResponse('MODEL_NOT_A_POLICY'),
    404: problemResponse('MODEL_NOT_FOUND'),
  },
});

export function serveModels({ http }: Pick<ServiceContext, 'http'>, policies: Policies): void {
  const modelOf = ({ run, version }: PublishedVersion): Model => ({
    id: run,
    object: 'model',
    created: Math.floor((policies.runs.state.get(run)?.requestedAt ?? 0) / 1000),
    owned_by: 'rlhf-streams',
    version,
  });
  http.openapi(listRoute, (c) => {
    const served = [...policies.versions.state.values()].filter(({ run }) => isPolicy(policies, run));
    return c.json({ object: 'list' as const, data: served.map(modelOf) }, 200);
  });
  http.openapi(showRoute, (c) => c.json(modelOf(requirePolicy(policies, c.req.valid('param').id)), 200));
}

/**
 * The newest version of a run that publishes policies.
 * @throws ProblemError MODEL_NOT_FOUND, MODEL_NOT_A_POLICY
 */
export function requirePolicy(policies: Policies, run: string): PublishedVersion {
  const view = policies.runs.state.get(run);
  if (view && !isPolicy(policies, run)) {
    const trained = specOf(view.config!).publishes;
    throw refused(
      400,
      'MODEL_NOT_A_POLICY',
      'The run is of no policy',
      `run ${run} trained a ${trained}; expected a policy: one of GET /v1/models`,
    );
  }
  const newest = policies.versions.state.get(run);
  if (newest) return newest;
  const came = view ? `run ${run}, which is ${view.status} and has no version yet` : run;
  throw refused(
    404,
    'MODEL_NOT_FOUND',
    'No such policy',
    `expected model to be one of GET /v1/models, got ${came}`,
  );
}

/** A run by its name, its newest version; or RUN@VERSION, a version of it. */
export function parseModelName(name: string): { readonly run: string; readonly version?: number } {
  const [, run, version] = /^([^@]+)@(\d+)$/.exec(name) ?? [];
  return run === undefined ? { run: name } : { run, version: Number(version) };
}

/** A run whose configuration cannot be read counts as a policy: loading its files shows whether it is one. */
const isPolicy = ({ runs }: Policies, run: string): boolean => {
  const config: RunView['config'] = runs.state.get(run)?.config;
  return config === undefined || specOf(config).publishes === 'policy';
};

const refused = (status: number, code: string, title: string, detail: string): ProblemError =>
  problem(status, code, title, detail, {
    errors: [{ path: 'model', message: detail, code: code.toLowerCase() }],
  });
