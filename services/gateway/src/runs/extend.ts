import { createRoute } from '@hono/zod-openapi';
import { explainUnknownKeys } from '@rlhf-streams/events';
import {
  MOST_STEPS,
  onlyMeasures,
  type RunConfig,
  RunError,
  type RunView,
  replayed,
  trainingSteps,
} from '@rlhf-streams/runs';
import { jsonBody, jsonResponse, problem, problemResponse } from '@rlhf-streams/service';
import { withDeadline } from '@rlhf-streams/waiting';
import { z } from 'zod';
import type { Api } from '../api.js';
import type { RunsContext } from './context.js';
import { runExample } from './examples.js';
import { knownRun, RunPath } from './known-run.js';
import { Run, viewOf } from './view.js';

const Extension = z
  .strictObject(
    {
      steps: z
        .int()
        .min(1)
        .max(MOST_STEPS)
        .optional()
        .describe('training steps that the run is to have in all'),
      epochs: z
        .number()
        .positive()
        .max(MOST_STEPS)
        .optional()
        .describe('instead of steps: passes over its data, in all'),
    },
    { error: explainUnknownKeys },
  )
  .refine(({ steps, epochs }) => (steps === undefined) !== (epochs === undefined), {
    error: ({ input }) =>
      `expected steps or epochs, got ${Object.keys(input as object).length === 0 ? 'neither' : 'both'}`,
  })
  .meta({ id: 'Extension' });

const body = jsonBody(Extension, { steps: 200 });

const route = createRoute({
  method: 'post',
  path: '/v1/runs/{run}/extend',
  tags: ['runs'],
  summary: 'Extend a completed run',
  description: [
    'The run goes on from its last checkpoint until it has that number of steps, and is running again. Its learning rate follows',
    'the new number of steps from there on. Runs that were built on it keep what they took. Repeating it is safe.',
  ].join(' '),
  middleware: body.middleware,
  request: { params: RunPath, ...body.request },
  responses: {
    202: jsonResponse('The run goes on', Run, { ...runExample, steps: { done: 100, total: 200 } }),
    400: problemResponse('MALFORMED_JSON, INVALID_REQUEST'),
    404: problemResponse('RUN_NOT_FOUND'),
    409: problemResponse(
      'RUN_NOT_EXTENDABLE: it has not completed, has done that number of steps or more, replays another run, trains nothing, is of an earlier build, or its checkpoint is gone',
    ),
    415: problemResponse('The body is not declared as JSON'),
    503: problemResponse('RUN_NOT_CONFIRMED: the log did not answer in time; repeat the request'),
  },
});

export function addExtendRun(api: Api, context: RunsContext): void {
  api.openapi(route, async (c) => {
    const { run } = knownRun(c.req.valid('param').run, context);
    const asked = c.req.valid('json');
    // The projection may lag behind the run's end, or an extension that is being repeated.
    const runs = await withDeadline((signal) => context.newestRuns(signal), {
      ms: context.timeoutMs,
      late: 'the log to tell its runs',
    });
    const state = runs.get(run)!;
    const config = extendable(state);
    const steps = lengthAsked(state, config, asked);
    const isRepeated =
      state.extents?.at(-1)?.steps === steps && (state.status !== 'completed' || state.done === steps);
    if (isRepeated) return c.json(viewOf(state, context), 202);
    await requireExtendable(state, steps, context);
    const extended = await context.confirm(
      { type: 'run.extended', data: { run, steps }, id: `${run}/extended/${state.done}/${steps}` },
      ({ extents = [] }) => extents.length > (state.extents?.length ?? 0),
    );
    return c.json(viewOf(extended.state, context), 202);
  });
}

/** The configuration of a run that could be extended, if it has completed. */
function extendable({ run, config, models, streams }: RunView): RunConfig {
  if (!config || !models) throw refused(`expected a run that was started, run ${run} never was`);
  if (onlyMeasures(config)) throw refused(`run ${run} samples and trains nothing: request another run`);
  const replay = replayed(config);
  if (replay !== undefined)
    throw refused(`run ${run} replays run ${replay}, which logged no more steps: extend that one`);
  if (!streams)
    throw refused(`run ${run} was started by an earlier build, whose runs end with an evaluation`);
  return config;
}

function lengthAsked(
  { streams }: RunView,
  config: RunConfig,
  { steps, epochs }: z.output<typeof Extension>,
): number {
  const items = streams!.find(({ stream }) => stream === 'train')!.items;
  try {
    return trainingSteps({ steps, epochs, batchSize: config.batchSize }, items);
  } catch (error) {
    if (error instanceof RunError) throw refused(error.message);
    throw error;
  }
}

async function requireExtendable(
  { run, status, done }: RunView,
  steps: number,
  { history, artifacts }: Pick<RunsContext, 'history' | 'artifacts'>,
): Promise<void> {
  if (status !== 'completed' || done === undefined)
    throw refused(`expected a run that has completed, run ${run} is ${status}`);
  if (steps <= done)
    throw refused(`expected more than the ${done} steps that run ${run} has done, got ${steps}`);
  const checkpoint = history.versions.get(run)?.checkpoint;
  if (!checkpoint || !(await artifacts.has(checkpoint.artifact)))
    throw refused(`the checkpoint from which run ${run} could go on is not stored any more`);
}

const refused = (detail: string) => problem(409, 'RUN_NOT_EXTENDABLE', 'The run cannot be extended', detail);
