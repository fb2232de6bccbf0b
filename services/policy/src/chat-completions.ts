/** OpenAI's /v1/chat/completions, for any policy on the log that has a chat template. */
import { createRoute } from '@hono/zod-openapi';
import { jsonBody, problemResponse, type ServiceContext } from '@rlhf-streams/service';
import { z } from 'zod';
import { createAnswer, problemResponses } from './answering.js';
import { ChatRequest } from './chat-request.js';
import { ChatCompletion, chatChunkExample, chatExample, chatWording } from './chat-response.js';
import type { Policies } from './policies.js';

const example = {
  model: 'ppo-reviews',
  messages: [{ role: 'user' as const, content: 'Say hello.' }],
  max_tokens: 20,
  seed: 7,
};

const route = createRoute({
  method: 'post',
  path: '/v1/chat/completions',
  tags: ['openai'],
  summary: 'Answer a conversation with the newest version of a policy',
  description:
    "As OpenAI's clients ask for it; the chat template of the policy makes a prompt of the conversation. A parameter that is not supported is refused by its name.",
  ...jsonBody(ChatRequest, example),
  responses: {
    200: {
      description: 'Answers; with stream, chunks of them, and [DONE] at the end',
      content: {
        'application/json': { schema: ChatCompletion, example: chatExample },
        'text/event-stream': {
          schema: z.string(),
          example: `data: ${JSON.stringify(chatChunkExample)}\n\ndata: [DONE]\n\n`,
        },
      },
    },
    400: problemResponse(
      'MALFORMED_JSON, INVALID_REQUEST, CONTEXT_LENGTH_EXCEEDED, MODEL_CHAT_TEMPLATE_MISSING, MODEL_CHAT_TEMPLATE, MODEL_CHAT_TEMPLATE_TOOLS, MODEL_NOT_A_POLICY',
    ),
    ...problemResponses,
  },
});

export function serveChatCompletions(context: ServiceContext, policies: Policies): void {
  const answer = createAnswer(context, policies);
  context.http.openapi(route, (c) => {
    const { messages, tools, ...request } = c.req.valid('json');
    return answer(c, request, [{ messages, tools }], chatWording);
  });
}
