import { applyRunEvent, type RunView } from '@rlhf-streams/runs';
import { defineService } from '@rlhf-streams/service';
import { computeSettings } from '@rlhf-streams/serving';
import { scoreRollouts } from './rewards.js';
import { createPolicyTokenizers } from './rollout-tokens.js';
import { createScorers } from './scorers.js';
import { serveScores } from './scores-api.js';

/** Scores rollouts with the reward models and gold rewards their runs name, and texts over HTTP. */
export const reward = defineService({
  name: 'reward',
  api: { description: 'What the scorers of runs say of rollouts, and of texts.' },
  settings: computeSettings,
  async start(context) {
    const runs = context.project<'runs', RunView>({ topics: ['runs'], apply: applyRunEvent });
    const scorers = await createScorers(context, runs);
    serveScores(context, runs, scorers);
    await runs.caughtUp;
    await scoreRollouts(context, runs, scorers, createPolicyTokenizers(context, runs));
  },
});
