/** The resource /v1/experiments: sets of runs that are requested together, over what the log says of runs. */
import type { ServiceContext } from '@rlhf-streams/service';
import type { Api } from '../api.js';
import type { RunsContext } from '../runs/context.js';
import { addCancelExperiment } from './cancel.js';
import { addCreateExperiment } from './create.js';
import { createExclusive } from './exclusive.js';
import { addListExperiments } from './list.js';
import { addShowExperiment } from './show.js';

export function addExperiments(
  api: Api,
  { events }: Pick<ServiceContext, 'events'>,
  runs: RunsContext,
): void {
  const context = { ...runs, exclusive: createExclusive({ events, newestRuns: runs.newestRuns }) };
  addCreateExperiment(api, context);
  addListExperiments(api, context);
  addShowExperiment(api, context);
  addCancelExperiment(api, context);
}
