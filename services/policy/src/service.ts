import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { defineService } from '@rlhf-streams/service';
import { computeSettings, generationSettings, policyThreads } from '@rlhf-streams/serving';
import { FOREVER_MS } from '@rlhf-streams/waiting';
import { z } from 'zod';
import { serveChatCompletions } from './chat-completions.js';
import { serveCompletions } from './completions.js';
import { createPolicyHosts } from './models.js';
import { withOpenAIErrors } from './openai-errors.js';
import { createPolicies, type Policies } from './policies.js';
import { answerPrompts } from './rollouts.js';
import { serveModels } from './served-models.js';

/** Generates rollouts for the prompts of every run, and completions over HTTP. */
export const policy = defineService({
  name: 'policy',
  api: {
    description: 'The policies of runs, as they are sampled from.',
    tags: [{ name: 'openai', description: "What OpenAI's clients ask for" }],
  },
  settings: computeSettings.extend(generationSettings.shape).extend({
    RLHF_REPLICA: z
      .string()
      .max(200)
      .default('')
      .meta({ defaultInWords: 'its host and a random number' })
      .describe(
        'id of this replica among all policy replicas, under which it tells which version it has applied; two of one name hide each other',
      ),
    RLHF_FETCH_TIMEOUT_MS: z.coerce
      .number()
      .int()
      .min(1)
      .max(FOREVER_MS)
      .default(120_000)
      .describe(
        'milliseconds that fetching and loading a policy version may take; then it is tried again, and the replica is not ready meanwhile',
      ),
  }),
  async start(context) {
    const { settings, readiness } = context;
    const hosts = await createPolicyHosts(context, {
      threads: policyThreads(settings),
      slots: settings.RLHF_POLICY_SLOTS,
      timeoutMs: settings.RLHF_FETCH_TIMEOUT_MS,
    });
    const policies = createPolicies(context, {
      hosts,
      replica: settings.RLHF_REPLICA || `${hostname()}-${randomUUID().slice(0, 8)}`,
      pauseMs: 1000,
    });
    readiness.check('policies', () => isFollowing(policies));
    context.http.use('/v1/*', withOpenAIErrors);
    serveModels(context, policies);
    serveCompletions(context, policies);
    serveChatCompletions(context, policies);
    await Promise.all([policies.runs.caughtUp, policies.versions.caughtUp]);
    await answerPrompts(context, policies);
  },
});

/** true, or which versions could not be applied, and why. */
function isFollowing(policies: Policies): true | string {
  const behind = policies
    .troubles()
    .map(
      ({ run, version, applied, cause }) =>
        `run ${run}: expected version ${version}, got ${applied ?? 'none'}: ${cause.code}: ${cause.message}`,
    );
  return behind.length === 0 || behind.join('; ');
}
