import { applyRunEvent, type RunView } from '@rlhf-streams/runs';
import { openScorers, scorerSettings } from '@rlhf-streams/scorers';
import { dataSettings, defineService } from '@rlhf-streams/service';
import { computeSettings, scoringSettings } from '@rlhf-streams/serving';
import { createModelScorers } from './model-scorers.js';
import { scoreRollouts } from './rewards.js';
import { createPolicyTokenizers } from './rollout-tokens.js';
import { serveScores } from './scores-api.js';

/** Scores rollouts with the scorers that their runs name, and texts over HTTP. */
export const reward = defineService({
  name: 'reward',
  api: { description: 'What the scorers of runs say of rollouts, and of texts.' },
  settings: computeSettings
    .extend(scoringSettings.shape)
    .extend(scorerSettings.shape)
    .extend(dataSettings.shape),
  async start(context) {
    const runs = context.project<'runs', RunView>({ topics: ['runs'], apply: applyRunEvent });
    const { settings, environment, signal } = context;
    const declared = await openScorers({
      file: settings.RLHF_SCORERS,
      environment,
      directory: settings.RLHF_DATA_DIR,
      signal,
    });
    context.onStop(() => declared.close(), 'declared scorers');
    const scorers = { models: await createModelScorers(context, runs), declared };
    const policyTokenizers = createPolicyTokenizers(context, runs);
    serveScores(context, runs, scorers, policyTokenizers);
    await runs.caughtUp;
    await scoreRollouts(context, runs, scorers, policyTokenizers);
  },
});
