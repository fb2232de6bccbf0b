/** Scorers over HTTP: a batch of completions is posted as JSON, and their scores come back in its order. */
import { shown } from '@rlhf-streams/events';
import type { AskScorer } from './ask.js';
import { ScorerError } from './errors.js';
import { type Endpoint, postJson } from './post-json.js';
import { readAnswers } from './read-answers.js';

/**
 * Posts `{ items: [{ id, prompt, completion, tokens?, messages?, tools?, metadata? }] }`, and reads
 * `{ scores: [...] }`: for each
 * item, in their order, a number, null, or `{ id?, score, parts?, error? }`.
 */
export const httpScorer =
  (endpoint: Endpoint): AskScorer =>
  async (items) => {
    const answer = await postJson(endpoint, { items });
    const scores =
      typeof answer === 'object' && answer !== null && 'scores' in answer ? answer.scores : undefined;
    if (scores === undefined)
      throw new ScorerError(
        'SCORER_ANSWER',
        `expected ${endpoint.name} to answer { scores }, got ${shown(answer)}`,
      );
    return readAnswers(
      scores,
      items.map(({ id }) => id),
    );
  };
