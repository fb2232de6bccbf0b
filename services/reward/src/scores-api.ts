/** POST /v1/scores: what a run's scorers say of texts. */
import { createRoute } from '@hono/zod-openapi';
import type { Projection } from '@rlhf-streams/bus';
import { Cause } from '@rlhf-streams/events';
import type { Tokenizer } from '@rlhf-streams/model/tokenizer';
import { type RunView, scorersOf } from '@rlhf-streams/runs';
import { countsTokens, ScorerError } from '@rlhf-streams/scorers';
import { jsonBody, jsonResponse, problem, problemResponse, type ServiceContext } from '@rlhf-streams/service';
import { eachText } from '@rlhf-streams/serving';
import { z } from 'zod';
import type { ModelScorers } from './model-scorers.js';
import type { PolicyTokenizers } from './rollout-tokens.js';
import { scoreBy } from './scorers.js';

const ScoreRequest = z
  .strictObject({
    run: z.string().min(1).describe('whose scorers'),
    texts: z.array(z.string()).min(1).max(256).describe('prompt and completion, as one text'),
  })
  .meta({ id: 'ScoreRequest' });

const Scores = z
  .object({
    run: z.string(),
    scores: z
      .array(
        z.object({
          score: z
            .number()
            .nullable()
            .describe('the sum of the scores, each times its weight; null where there is none'),
          parts: z
            .record(z.string(), z.number().nullable())
            .describe('score by scorer; null of one that does not apply to the text'),
          cause: Cause.optional().describe('why there is no score'),
        }),
      )
      .describe('one a text, in their order'),
  })
  .meta({ id: 'Scores' });

const route = createRoute({
  method: 'post',
  path: '/v1/scores',
  summary: "Score texts with a run's scorers",
  description: "Each reward model's own tokenizer begins and ends the texts.",
  ...jsonBody(ScoreRequest, { run: 'ppo-reviews', texts: ['The ending is wonderful.'] }),
  responses: {
    200: jsonResponse('Scores', Scores, {
      run: 'ppo-reviews',
      scores: [{ score: 1.32, parts: { 'rm-reviews': 1.32, gold: 2.74 } }],
    }),
    400: problemResponse(
      'MALFORMED_JSON, INVALID_REQUEST; MODEL_SEQUENCE_LENGTH: a text that a scorer cannot read',
    ),
    404: problemResponse('SCORERS_NOT_FOUND'),
    413: problemResponse('BODY_TOO_LARGE'),
    415: problemResponse('The body is not declared as JSON'),
    503: problemResponse('RUNTIME_UNAVAILABLE: a scorer is out of reach'),
  },
});

export function serveScores(
  { http }: ServiceContext,
  runs: Projection<RunView>,
  models: ModelScorers,
  policyTokenizers: PolicyTokenizers,
): void {
  http.openapi(route, async (c) => {
    const { run: id, texts } = c.req.valid('json');
    const run = runs.state.get(id);
    if (!run?.models || scorersOf(run.config!).length === 0) {
      throw problem(
        404,
        'SCORERS_NOT_FOUND',
        'No such scorers',
        `expected run to be a started run with scorers, got ${id}`,
      );
    }
    const needsTokens = scorersOf(run.config!).some(
      (scorer) => 'rule' in scorer && countsTokens(scorer.rule),
    );
    const itemOf = async (text: string) => ({
      prompt: '',
      completion: text,
      ...(needsTokens && { tokens: await policyTokenizers.of(run, async (own) => tokensOf(text, own)) }),
    });
    const scores = await eachText(texts, (text) =>
      scoreBy(models, run, {
        text,
        tokens: async (own) => tokensOf(text, own),
        item: () => itemOf(text),
      }).catch((error) => {
        if (!(error instanceof ScorerError) || error.unavailable) throw error;
        return { score: null, parts: {}, cause: { code: error.code, message: error.message } };
      }),
    );
    return c.json({ run: id, scores }, 200);
  });
}

/** As the scorer's own tokenizer begins and ends texts. */
const tokensOf = (text: string, { begin, encode, end }: Tokenizer): number[] => [
  ...begin,
  ...encode(text),
  ...end,
];
