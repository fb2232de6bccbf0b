/** POST /v1/scores: what a run's scorers say of texts. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadTokenizer, type Tokenizer } from '@rlhf-streams/model/tokenizer';
import { type Projection, problem, type ServiceContext, validated } from '@rlhf-streams/runtime';
import { artifactRoles, type RunView, scorersOf } from '@rlhf-streams/training/config';
import { z } from 'zod';
import { type Scorers, scoreBy } from './scorers.js';

const ScoreRequest = z.strictObject({
  run: z.string().min(1).describe('whose scorers'),
  texts: z.array(z.string()).min(1).max(256).describe('prompt and completion, as one text'),
});

export function serveScores(
  { http, artifacts }: ServiceContext,
  runs: Projection<RunView>,
  scorers: Scorers,
): void {
  const tokenizers = new Map<string, Promise<Tokenizer>>();
  const tokenizerOf = async (run: RunView): Promise<Tokenizer> => {
    const policy = run.artifacts![artifactRoles.policy]!;
    const known = tokenizers.get(policy.sha256);
    if (known) return known;
    const loading = artifacts
      .fetch(policy)
      .then(async (directory) =>
        loadTokenizer(JSON.parse(await readFile(join(directory, 'tokenizer.json'), 'utf8'))),
      );
    tokenizers.set(policy.sha256, loading);
    loading.catch(() => tokenizers.delete(policy.sha256));
    return loading;
  };

  http.post('/v1/scores', validated('json', ScoreRequest), async (c) => {
    const { run: id, texts } = c.req.valid('json');
    const run = runs.state.get(id);
    if (!run?.artifacts || scorersOf(run.config!).length === 0) {
      throw problem(
        404,
        'SCORERS_NOT_FOUND',
        'No such scorers',
        `expected run to be a started run with scorers, got ${id}`,
      );
    }
    const tokenizer = await tokenizerOf(run);
    const scores = await Promise.all(
      texts.map(async (text) => {
        const tokens = [tokenizer.eosId, ...tokenizer.encode(text), tokenizer.eosId];
        return scoreBy(scorers, run, { text, tokens });
      }),
    ).catch((error: Error & { code?: string }) => {
      if (error.code === 'MODEL_SEQUENCE_LENGTH')
        throw problem(400, error.code, 'A text is too long', error.message);
      throw error;
    });
    return c.json({ run: id, scores });
  });
}
