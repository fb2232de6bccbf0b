/** OpenAI's /v1/models: the policies on the log. */

import { type PublishedVersion, type RunView, specOf } from '@rlhf-streams/runs';
import { type ProblemError, problem, type ServiceContext } from '@rlhf-streams/service';
import type { Policies } from './policies.js';

export function serveModels({ http }: Pick<ServiceContext, 'http'>, policies: Policies): void {
  const modelOf = ({ run, version }: PublishedVersion) => ({
    id: run,
    object: 'model',
    created: Math.floor((policies.runs.state.get(run)?.requestedAt ?? 0) / 1000),
    owned_by: 'rlhf-streams',
    version,
  });
  http.get('/v1/models', (c) => {
    const served = [...policies.versions.state.values()].filter(({ run }) => isPolicy(policies, run));
    return c.json({ object: 'list', data: served.map(modelOf) });
  });
  http.get('/v1/models/:id', (c) => c.json(modelOf(requirePolicy(policies, c.req.param('id')))));
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

/** A run whose configuration cannot be read counts as a policy: loading its files shows whether it is one. */
const isPolicy = ({ runs }: Policies, run: string): boolean => {
  const config: RunView['config'] = runs.state.get(run)?.config;
  return config === undefined || specOf(config).publishes === 'policy';
};

const refused = (status: number, code: string, title: string, detail: string): ProblemError =>
  problem(status, code, title, detail, {
    errors: [{ path: 'model', message: detail, code: code.toLowerCase() }],
  });
