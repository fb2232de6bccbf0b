/** OpenAI's /v1/completions, for any policy on the log. */
import { ProblemError, problem, type ServiceContext, validated } from '@rlhf-streams/service';
import type { SSEStreamingApi } from 'hono/streaming';
import { type CompletionJob, prepareJob, TIMEOUT_MS } from './completion-job.js';
import { CompletionRequest } from './completion-request.js';
import { answerOf, sendChunks } from './completion-response.js';
import type { LoadedPolicy } from './follower.js';
import { openAIError } from './openai-errors.js';
import type { Policies } from './policies.js';
import { requirePolicy } from './served-models.js';

export function serveCompletions(
  { http, streams, signal: stopping }: ServiceContext,
  policies: Policies,
): void {
  http.post('/v1/completions', validated('json', CompletionRequest), (c) => {
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
