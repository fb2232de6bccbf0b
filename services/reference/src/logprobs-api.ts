/** POST /v1/logprobs: a text's token log-probs under a run's reference. */
import type { Projection } from '@rlhf-streams/bus';
import { modelKey } from '@rlhf-streams/events';
import { artifactRoles, type RunView } from '@rlhf-streams/runs';
import { problem, type ServiceContext, validated } from '@rlhf-streams/service';
import { eachText } from '@rlhf-streams/serving';
import { z } from 'zod';
import type { References } from './references.js';

const LogprobRequest = z.strictObject({
  run: z.string().min(1).describe('whose reference'),
  texts: z.array(z.string().min(1)).min(1).max(256),
  temperature: z.number().positive().max(10).default(1),
});

export function serveLogprobs(
  { http }: ServiceContext,
  runs: Projection<RunView>,
  references: References,
): void {
  http.post('/v1/logprobs', validated('json', LogprobRequest), async (c) => {
    const { run, texts, temperature } = c.req.valid('json');
    const model = runs.state.get(run)?.models?.[artifactRoles.reference];
    if (!model) {
      throw problem(
        404,
        'REFERENCE_NOT_FOUND',
        'No such reference',
        `expected run to be a started run with a reference, got ${run}`,
      );
    }
    const results = await references.use(model, ({ score, tokenizer }) => {
      if (!tokenizer)
        throw new Error(`expected reference ${modelKey(model)} to have a tokenizer.json, got none`);
      return eachText(texts, async (text) => {
        const tokens = [...tokenizer.begin, ...tokenizer.encode(text)];
        const logprobs = [...(await score({ tokens, temperature }))];
        return { tokens: tokens.slice(1), logprobs, sum: logprobs.reduce((sum, x) => sum + x, 0) };
      });
    });
    return c.json({ run, reference: model.base, results });
  });
}
