import { defineService } from '@rlhf-streams/runtime';
import { z } from 'zod';
import { createApi } from './api.js';
import { addRuns } from './runs/index.js';

const settings = z.object({
  RUN_REQUEST_TIMEOUT_MS: z.coerce
    .number()
    .int()
    .min(1)
    .default(10_000)
    .describe('a request that changes a run waits so long for the log to confirm it'),
});

/** The public HTTP API. It is ready when what it knows of runs has caught up with the log. */
export const gateway = defineService({
  name: 'gateway',
  settings,
  start: async (context) => {
    const api = createApi();
    await addRuns(api, context, { timeoutMs: context.settings.RUN_REQUEST_TIMEOUT_MS });
    context.http.route('/', api);
  },
});
