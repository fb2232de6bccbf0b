import { applyRunEvent, type RunView } from '@rlhf-streams/runs';
import { computeSettings, defineService } from '@rlhf-streams/service';
import { scoreRollouts } from './rewards.js';
import { policyTokenizers } from './rollout-tokens.js';
import { createScorers } from './scorers.js';
import { serveScores } from './scores.js';

/** Scores rollouts with the reward models and gold rewards their runs name, and texts over HTTP. */
export const reward = defineService({
  name: 'reward',
  settings: computeSettings,
  async start(context) {
    const runs = context.project<'runs', RunView>({ topics: ['runs'], apply: applyRunEvent });
    const scorers = await createScorers(context, runs);
    const tokenizers = policyTokenizers(context.artifacts);
    serveScores(context, runs, scorers);
    await runs.caughtUp;
    await scoreRollouts(context, runs, scorers, tokenizers);
  },
});
