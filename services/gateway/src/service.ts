import { defineService } from '@rlhf-streams/service';
import { z } from 'zod';
import { addIndex, api } from './api.js';
import { addDeadLetters } from './dead-letters/index.js';
import { addExperiments } from './experiments/index.js';
import { addRuns } from './runs/index.js';

const settings = z.object({
  RUN_REQUEST_TIMEOUT_MS: z.coerce
    .number()
    .int()
    .min(1)
    .default(10_000)
    .describe(
      'milliseconds that a request which changes a run waits for the log to confirm it; then it is answered with 503 RUN_NOT_CONFIRMED, and may be repeated',
    ),
  RLHF_HTTP_ROOTS: z
    .string()
    .optional()
    .meta({ defaultInWords: 'none' })
    .describe(
      'folders, separated by : (on Windows by ;), in which files and models may lie that a run requested over HTTP names; relative paths are relative to the first, and what lies elsewhere is refused',
    ),
});

/** The public HTTP API. It is ready when what it knows of runs has caught up with the log. */
export const gateway = defineService({
  name: 'gateway',
  api,
  settings,
  start: async (context) => {
    const { RUN_REQUEST_TIMEOUT_MS: timeoutMs, RLHF_HTTP_ROOTS: roots } = context.settings;
    const { http } = context;
    addIndex(http);
    addExperiments(http, context, await addRuns(http, context, { timeoutMs, roots }));
    await addDeadLetters(http, context);
  },
});
