import { createRoute } from '@hono/zod-openapi';
import { hasEnded, type RunView } from '@rlhf-streams/runs';
import { jsonResponse, problem, problemResponse } from '@rlhf-streams/service';
import type { Api } from '../api.js';
import { Cancellation } from '../runs/cancel.js';
import { inTime } from '../runs/confirm.js';
import type { ExperimentsContext } from './context.js';
import { experimentExample } from './examples.js';
import { ExperimentPath, knownExperiment } from './known.js';
import { Experiment, viewOfExperiment } from './view.js';

const route = createRoute({
  method: 'post',
  path: '/v1/experiments/{experiment}/cancel',
  tags: ['experiments'],
  summary: 'Cancel an experiment',
  description:
    'Cancels those of its runs that have not ended, and answers when that is durable. Repeating it is safe. What has completed stays; the same request for the experiment goes on with the runs that had not been started.',
  request: {
    params: ExperimentPath,
    body: {
      required: false,
      content: { 'application/json': { schema: Cancellation, example: { reason: 'the KL ran away' } } },
    },
  },
  responses: {
    202: jsonResponse('It is cancelled', Experiment, { ...experimentExample, status: 'cancelled' }),
    400: problemResponse('MALFORMED_JSON, INVALID_REQUEST'),
    404: problemResponse('EXPERIMENT_NOT_FOUND'),
    409: problemResponse('EXPERIMENT_ENDED: every run has completed or failed'),
    415: problemResponse('The body is not declared as JSON'),
    503: problemResponse('RUN_NOT_CONFIRMED: the log did not answer in time; repeat the request'),
  },
});

export function addCancelExperiment(api: Api, context: ExperimentsContext): void {
  api.openapi(route, async (c) => {
    const { experiment } = c.req.valid('param');
    const { reason } = Cancellation.parse(c.req.valid('json'));
    const members = await cancelled(experiment, reason, context);
    if (!members.some(({ status }) => status === 'cancelled'))
      throw problem(
        409,
        'EXPERIMENT_ENDED',
        'The experiment has ended',
        `every run of experiment ${experiment} has completed or failed: nothing is left to cancel`,
      );
    return c.json(viewOfExperiment(experiment, members, context), 202);
  });
}

/**
 * Cancels the runs that go on, in one transaction: one after another, a run could fail because the one that it waits for was
 * cancelled.
 * @returns all runs of the experiment, when all have ended
 */
async function cancelled(
  experiment: string,
  reason: string,
  { runs, exclusive, timeoutMs }: ExperimentsContext,
): Promise<RunView[]> {
  const members = knownExperiment(experiment, runs.state);
  if (members.every(hasEnded)) return members;
  const what = `the log to confirm that experiment ${experiment} is cancelled`;
  return inTime(what, timeoutMs, async (signal) => {
    await exclusive(async (newest, publish) => {
      const going = knownExperiment(experiment, newest).filter((run) => !hasEnded(run));
      if (going.length === 0) return;
      await publish(
        going.map(({ run }) => ({ type: 'run.cancelled', data: { run, reason }, id: `${run}/cancelled` })),
      );
    }, signal);
    const ended = (state: ReadonlyMap<string, RunView>) => {
      const now = knownExperiment(experiment, state);
      return now.every(hasEnded) && now;
    };
    return runs.waitFor(ended, { timeoutMs, what, signal });
  });
}
