import { availableParallelism } from 'node:os';
import { defineService } from '@rlhf-streams/runtime';
import { z } from 'zod';
import { serveCompletions } from './completions.js';
import { createPolicies } from './policies.js';
import { answerPrompts } from './rollouts.js';

/** Generates rollouts for the prompts of every run, and completions over HTTP. */
export const policy = defineService({
  name: 'policy',
  settings: z.object({
    RLHF_POLICY_THREADS: z.coerce
      .number()
      .int()
      .min(1)
      .max(64)
      .default(Math.min(4, availableParallelism()))
      .describe('compute threads, each with slots of its own'),
    RLHF_POLICY_SLOTS: z.coerce
      .number()
      .int()
      .min(1)
      .max(1024)
      .default(32)
      .describe('sequences a thread generates side by side'),
  }),
  async start(context) {
    const { RLHF_POLICY_THREADS, RLHF_POLICY_SLOTS } = context.settings;
    const policies = createPolicies(context, { threads: RLHF_POLICY_THREADS, slots: RLHF_POLICY_SLOTS });
    serveCompletions(context, policies);
    await policies.versions.caughtUp;
    await answerPrompts(context, policies);
  },
});
