import { applyRunEvent, type RunView } from '@rlhf-streams/runs';
import { defineService } from '@rlhf-streams/service';
import { computeSettings } from '@rlhf-streams/serving';
import { createModelScorers } from './model-scorers.js';
import { scoreRollouts } from './rewards.js';
import { createPolicyTokenizers } from './rollout-tokens.js';
import { serveScores } from './scores-api.js';

/** Scores rollouts with the scorers that their runs name, and texts over HTTP. */
export const reward = defineService({
  name: 'reward',
  api: { description: 'What the scorers of runs say of rollouts, and of texts.' },
  settings: computeSettings,
  async start(context) {
    const runs = context.project<'runs', RunView>({ topics: ['runs'], apply: applyRunEvent });
    const models = await createModelScorers(context, runs);
    const policyTokenizers = createPolicyTokenizers(context, runs);
    serveScores(context, runs, models, policyTokenizers);
    await runs.caughtUp;
    await scoreRollouts(context, runs, models, policyTokenizers);
  },
});
