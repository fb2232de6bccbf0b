/** POST /v1/scores: what a run's scorers, or a declared scorer, say of texts. */
import { createRoute } from '@hono/zod-openapi';
import type { Projection } from '@rlhf-streams/bus';
import { Cause, Message, Metadata, Tools } from '@rlhf-streams/events';
import type { Tokenizer } from '@rlhf-streams/model/tokenizer';
import { parseSource, type RunView, scorersOf } from '@rlhf-streams/runs';
import { countsTokens, ScorerError, type ScorerItem } from '@rlhf-streams/scorers';
import { jsonBody, jsonResponse, problem, problemResponse, type ServiceContext } from '@rlhf-streams/service';
import { eachText } from '@rlhf-streams/serving';
import { z } from 'zod';
import { answerTokens, type PolicyTokenizers } from './rollout-tokens.js';
import { orThrow, type Reward, type Scorers, scoreBy } from './scorers.js';

const MOST = 256;

const ScoreRequest = z
  .strictObject({
    run: z.string().min(1).optional().describe('whose scorers'),
    scorer: z
      .string()
      .min(1)
      .optional()
      .describe('in place of a run: a scorer that the operator declared, as declared:NAME'),
    texts: z.array(z.string()).min(1).max(MOST).optional().describe('prompt and completion, as one text'),
    items: z
      .array(
        z.strictObject({
          prompt: z.string(),
          completion: z.string(),
          messages: z
            .array(Message)
            .min(1)
            .optional()
            .describe(
              'the conversation that the prompt was made of: reward models with a chat template read it in place of the prompt',
            ),
          tools: Tools.optional().describe('what the assistant may call in it'),
          metadata: Metadata.optional().describe('for scorers that read it'),
        }),
      )
      .min(1)
      .max(MOST)
      .optional()
      .describe('in place of texts: prompts and completions apart, as rules and declared scorers read them'),
  })
  .refine(({ run, scorer }) => (run === undefined) !== (scorer === undefined), {
    path: ['run'],
    error: 'expected either run or scorer',
  })
  .refine(({ texts, items }) => (texts === undefined) !== (items === undefined), {
    path: ['texts'],
    error: 'expected either texts or items',
  })
  .meta({ id: 'ScoreRequest' });

const Scores = z
  .object({
    run: z.string().optional(),
    scorer: z.string().optional(),
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
  summary: "Score texts with a run's scorers, or with a declared one",
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
    404: problemResponse('SCORERS_NOT_FOUND: the run has none, or the scorer is not declared'),
    413: problemResponse('BODY_TOO_LARGE'),
    415: problemResponse('The body is not declared as JSON'),
    503: problemResponse(
      'RUNTIME_UNAVAILABLE, SCORER_UNAVAILABLE: a scorer is out of reach; SCORER_CAP; SCORER_CHANGED',
    ),
  },
});

export function serveScores(
  { http }: ServiceContext,
  runs: Projection<RunView>,
  scorers: Scorers,
  policyTokenizers: PolicyTokenizers,
): void {
  http.openapi(route, async (c) => {
    const { run: id, scorer, texts, items } = c.req.valid('json');
    const asked: readonly ScorerItem[] = items ?? texts!.map((text) => ({ prompt: '', completion: text }));
    const scoreOf =
      id === undefined
        ? byDeclared(scorers, scorer!)
        : byRun(scorers, policyTokenizers, runs.state.get(id), id);
    const scores = await eachText(
      asked,
      (item) =>
        scoreOf(item).catch((error) => {
          if (!(error instanceof ScorerError) || error.unavailable) throw error;
          return { score: null, parts: {}, cause: { code: error.code, message: error.message } };
        }),
      items ? 'items' : 'texts',
    );
    return c.json({ ...(id === undefined ? { scorer } : { run: id }), scores }, 200);
  });
}

type ScoreOf = (item: ScorerItem) => Promise<Omit<Reward, 'score'> & { readonly score: number | null }>;

function byDeclared({ declared }: Scorers, written: string): ScoreOf {
  const source = parseSource('scorer', written);
  if (source.from !== 'declared') throw notFound(`expected scorer to be declared:NAME, got ${written}`);
  const { name } = source;
  try {
    declared.sha256Of(name);
  } catch (error) {
    if (!(error instanceof ScorerError)) throw error;
    throw notFound(error.message);
  }
  return async (item) => {
    const { score, parts = {} } = orThrow(name, await declared.score(name, item));
    const named = Object.entries(parts).map(([part, value]) => [`${name}/${part}`, value] as const);
    return { score, parts: { [name]: score, ...Object.fromEntries(named) } };
  };
}

function byRun(
  scorers: Scorers,
  policyTokenizers: PolicyTokenizers,
  run: RunView | undefined,
  id: string,
): ScoreOf {
  if (!run?.models || scorersOf(run.config!).length === 0)
    throw notFound(`expected run to be a started run with scorers, got ${id}`);
  const needsTokens = scorersOf(run.config!).some((scorer) => 'rule' in scorer && countsTokens(scorer.rule));
  return (item) => {
    const { prompt, completion, messages, tools } = item;
    const text = prompt + completion;
    const withTokens = async () => ({
      ...item,
      ...(needsTokens && {
        tokens: await policyTokenizers.of(run, async (own) => [...own.encode(completion), ...own.end]),
      }),
    });
    return scoreBy(scorers, run, {
      text,
      tokens: async (own) =>
        messages && own.hasChatTemplate
          ? answerTokens(own, messages, { text: completion, tools, ends: true })
          : tokensOf(text, own),
      item: withTokens,
    });
  };
}

const notFound = (message: string) => problem(404, 'SCORERS_NOT_FOUND', 'No such scorers', message);

/** As the scorer's own tokenizer begins and ends texts. */
const tokensOf = (text: string, { begin, encode, end }: Tokenizer): number[] => [
  ...begin,
  ...encode(text),
  ...end,
];
