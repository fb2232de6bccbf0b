/** POST /v1/logprobs: a text's token log-probs under a run's reference. */
import { createRoute } from '@hono/zod-openapi';
import type { Projection } from '@rlhf-streams/bus';
import { ArtifactRef, modelKey } from '@rlhf-streams/events';
import { artifactRoles, type RunView } from '@rlhf-streams/runs';
import { jsonBody, jsonResponse, problem, problemResponse, type ServiceContext } from '@rlhf-streams/service';
import { eachText } from '@rlhf-streams/serving';
import { z } from 'zod';
import type { References } from './references.js';

const LogprobRequest = z
  .strictObject({
    run: z.string().min(1).describe('whose reference'),
    texts: z.array(z.string().min(1)).min(1).max(256),
    temperature: z.number().positive().max(10).default(1),
  })
  .meta({ id: 'LogprobRequest' });

const TextLogprobs = z
  .object({
    run: z.string(),
    reference: ArtifactRef.describe('the reference, or the model that it is an adapter on'),
    adapter: ArtifactRef.optional().describe('of a reference that is an adapter'),
    results: z
      .array(
        z.object({
          tokens: z.array(z.int()).describe('ids, without the first, which nothing comes before'),
          logprobs: z.array(z.number()).describe('one a token'),
          sum: z.number(),
        }),
      )
      .describe('one a text, in their order'),
  })
  .meta({ id: 'TextLogprobs' });

const route = createRoute({
  method: 'post',
  path: '/v1/logprobs',
  summary: "Log-probs of texts under a run's reference",
  ...jsonBody(LogprobRequest, { run: 'ppo-reviews', texts: ['The ending is wonderful.'] }),
  responses: {
    200: jsonResponse('Log-probs', TextLogprobs, {
      run: 'ppo-reviews',
      reference: {
        uri: 'artifact:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
        sha256: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
      },
      results: [{ tokens: [285, 424], logprobs: [-2.5, -0.25], sum: -2.75 }],
    }),
    400: problemResponse(
      'MALFORMED_JSON, INVALID_REQUEST; MODEL_SEQUENCE_LENGTH: a text that the reference cannot read',
    ),
    404: problemResponse('REFERENCE_NOT_FOUND'),
    413: problemResponse('BODY_TOO_LARGE'),
    415: problemResponse('The body is not declared as JSON'),
    503: problemResponse('RUNTIME_UNAVAILABLE: the reference is out of reach'),
  },
});

export function serveLogprobs(
  { http }: ServiceContext,
  runs: Projection<RunView>,
  references: References,
): void {
  http.openapi(route, async (c) => {
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
    return c.json(
      { run, reference: model.base, ...(model.adapter && { adapter: model.adapter }), results },
      200,
    );
  });
}
