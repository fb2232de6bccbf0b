/** POST /v1/scores: what a run's scorers say of texts. */
import type { Projection } from '@rlhf-streams/bus';
import type { Tokenizer } from '@rlhf-streams/model/tokenizer';
import { type RunView, scorersOf } from '@rlhf-streams/runs';
import { problem, type ServiceContext, validated } from '@rlhf-streams/service';
import { eachText } from '@rlhf-streams/serving';
import { z } from 'zod';
import { type Scorers, scoreBy } from './scorers.js';

const ScoreRequest = z.strictObject({
  run: z.string().min(1).describe('whose scorers'),
  texts: z.array(z.string()).min(1).max(256).describe('prompt and completion, as one text'),
});

export function serveScores({ http }: ServiceContext, runs: Projection<RunView>, scorers: Scorers): void {
  http.post('/v1/scores', validated('json', ScoreRequest), async (c) => {
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
    const scores = await eachText(texts, (text) =>
      scoreBy(scorers, run, { text, tokens: async (own) => tokensOf(text, own) }),
    );
    return c.json({ run: id, scores });
  });
}

/** As the scorer's own tokenizer begins and ends texts. */
const tokensOf = (text: string, { begin, encode, end }: Tokenizer): number[] => [
  ...begin,
  ...encode(text),
  ...end,
];
