import { applyRunEvent, type RunView } from '@rlhf-streams/runs';
import { defineService } from '@rlhf-streams/service';
import { computeSettings, scoringSettings } from '@rlhf-streams/serving';
import { scoreUnderReference } from './log-probs.js';
import { serveLogprobs } from './logprobs-api.js';
import { createReferences } from './references.js';

/** Log-probs of rollouts and comparisons under the frozen reference of their run, and of texts over HTTP. */
export const reference = defineService({
  name: 'reference',
  api: { description: 'Log-probs under the frozen references of runs.' },
  settings: computeSettings.extend(scoringSettings.shape),
  async start(context) {
    const runs = context.project<'runs', RunView>({ topics: ['runs'], apply: applyRunEvent });
    const references = await createReferences(context, runs);
    serveLogprobs(context, runs, references);
    await runs.caughtUp;
    await scoreUnderReference(context, runs, references);
  },
});
