/** OpenAI's /v1/completions, for any policy on the log. */
import { createRoute } from '@hono/zod-openapi';
import { jsonBody, ProblemError, problem, problemResponse, type ServiceContext } from '@rlhf-streams/service';
import type { SSEStreamingApi } from 'hono/streaming';
import { z } from 'zod';
import { type CompletionJob, prepareJob, TIMEOUT_MS } from './completion-job.js';
import { CompletionRequest } from './completion-request.js';
import { answerOf, Completion, completionExample, sendChunks } from './completion-response.js';
import type { LoadedPolicy } from './follower.js';
import { openAIError } from './openai-errors.js';
import type { Policies } from './policies.js';
import { requirePolicy } from './served-models.js';

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
    404: problemResponse('MODEL_NOT_FOUND'),
    413: problemResponse('BODY_TOO_LARGE'),
    415: problemResponse('The body is not declared as JSON'),
    500: problemResponse('MODEL_LOGITS_NOT_FINITE'),
    503: problemResponse('SERVICE_STOPPING; RUNTIME_UNAVAILABLE: the policy is out of reach'),
    504: problemResponse('MODEL_GENERATION_TIMEOUT'),
  },
});

export function serveCompletions(
  { http, streams, signal: stopping }: ServiceContext,
  policies: Policies,
): void {
  http.openapi(route, (c) => {
    const request = c.req.valid('json');
    requirePolicy(policies, request.model);
    const left = c.req.raw.signal;
    const explained = (error: unknown) => asProblem(error, left, stopping);
    return new Promise<Response>((resolve, reject) => {
      // The policy stays in memory until `answer` resolves: the end of a stream, long after the response has begun.
      const answer = async (policy: LoadedPolicy): Promise<void> => {
        const job = await prepareJob(policy, request, left);
        if (!request.stream) return resolve(c.json(await answerOf(job, left)));
        await new Promise<void>((done) => {
          resolve(streams.sse(c, (sse, signal) => stream(job, sse, signal, explained).finally(done)));
        });
      };
      policies
        .useNewest(request.model, { timeoutMs: TIMEOUT_MS, signal: left }, answer)
        .catch((error) => reject(explained(error)));
    });
  });
}

async function stream(
  job: CompletionJob,
  sse: SSEStreamingApi,
  signal: AbortSignal,
  explained: (error: unknown) => unknown,
): Promise<void> {
  let sent = Promise.resolve();
  const send = (data: string) => {
    sent = sent.then(() => sse.writeSSE({ data }));
  };
  try {
    await sendChunks(job, signal, (chunk) => send(JSON.stringify(chunk)));
    send('[DONE]');
  } catch (error) {
    // The client has left. When the service stops, the signal aborts too, but then the client still waits for an answer.
    if (sse.aborted) return;
    const told = explained(error);
    send(JSON.stringify({ error: openAIError(told instanceof ProblemError ? told : {}) }));
    if (!(told instanceof ProblemError)) throw error;
  } finally {
    await sent;
  }
}

/** The problem that answers the client; an error that does not concern the client comes back unchanged. */
function asProblem(error: unknown, left: AbortSignal, stopping: AbortSignal): unknown {
  const { code, message } = error as Error & { code?: string };
  if (left.aborted) return problem(499, 'CLIENT_CLOSED_REQUEST', 'The client is gone');
  if (stopping.aborted) {
    const headers = { 'retry-after': '1' };
    return problem(503, 'SERVICE_STOPPING', 'The service is stopping', 'ask again', { headers });
  }
  switch (code) {
    case 'MODEL_GENERATION_REQUEST':
      return problem(400, code, 'The request cannot be generated', message);
    case 'MODEL_NOT_A_POLICY':
      return problem(400, code, 'The run is of no policy', message);
    case 'MODEL_GENERATION_TIMEOUT':
      return problem(504, code, 'Generation took too long', message);
    case 'MODEL_LOGITS_NOT_FINITE':
      return problem(500, code, 'The policy cannot be sampled from', message);
    default:
      return error;
  }
}
