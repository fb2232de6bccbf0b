/** OpenAI's /v1/completions, for any policy on the log. */
import { createRoute } from '@hono/zod-openapi';
import { jsonBody, problemResponse, type ServiceContext } from '@rlhf-streams/service';
import { z } from 'zod';
import { createAnswer, problemResponses } from './answering.js';
import { CompletionRequest } from './completion-request.js';
import { Completion, completionExample, completionWording } from './completion-response.js';
import type { Policies } from './policies.js';

const example = { model: 'ppo-reviews', prompt: 'The ending is', max_tokens: 20, seed: 7 };

const route = createRoute({
  method: 'post',
  path: '/v1/completions',
  tags: ['openai'],
  summary: 'Complete prompts with the newest version of a policy',
  description: "As OpenAI's clients ask for it; a parameter that is not supported is refused by its name.",
  ...jsonBody(CompletionRequest, example),
  responses: {
    200: {
      description: 'Completions; with stream, chunks of the same shape, and [DONE] at the end',
      content: {
        'application/json': { schema: Completion, example: completionExample },
        'text/event-stream': {
          schema: z.string(),
          example: `data: ${JSON.stringify(completionExample)}\n\ndata: [DONE]\n\n`,
        },
      },
    },
    400: problemResponse(
      'MALFORMED_JSON, INVALID_REQUEST, CONTEXT_LENGTH_EXCEEDED, MODEL_GENERATION_REQUEST, MODEL_NOT_A_POLICY',
    ),
    ...problemResponses,
  },
});

export function serveCompletions(context: ServiceContext, policies: Policies): void {
  const answer = createAnswer(context, policies);
  context.http.openapi(route, (c) => {
    const request = c.req.valid('json');
    return answer(c, request, request.prompt, completionWording);
  });
}
