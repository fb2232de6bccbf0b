/** POST /v1/logprobs: a text's token log-probs under a run's reference. */
import type { Projection } from '@rlhf-streams/bus';
import { artifactRoles, type RunView } from '@rlhf-streams/runs';
import { problem, type ServiceContext, textProblem, validated } from '@rlhf-streams/service';
import { z } from 'zod';
import type { Reference, References } from './references.js';

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
    const artifact = runs.state.get(run)?.artifacts?.[artifactRoles.reference];
    if (!artifact) {
      throw problem(
        404,
        'REFERENCE_NOT_FOUND',
        'No such reference',
        `expected run to be a started run with a reference, got ${run}`,
      );
    }
    const scored = async (reference: Reference, text: string) => {
      const tokens = await reference.encode(text);
      const logprobs = [...(await reference.logprobs(tokens, temperature))];
      return { tokens: tokens.slice(1), logprobs, sum: logprobs.reduce((sum, x) => sum + x, 0) };
    };
    const scoreAll = (reference: Reference) =>
      Promise.all(
        texts.map((text, index) =>
          scored(reference, text).catch((error) => {
            throw textProblem(error, index);
          }),
        ),
      );
    const results = await references.use(artifact, scoreAll);
    return c.json({ run, reference: artifact, results });
  });
}
