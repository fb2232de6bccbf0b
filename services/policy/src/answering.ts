/** How the endpoints that OpenAI's clients ask are answered: the newest version of a policy generates for them. */
import { ProblemError, problem, problemResponse, type ServiceContext } from '@rlhf-streams/service';
import type { Context } from 'hono';
import type { SSEStreamingApi } from 'hono/streaming';
import { answerOf, sendChunks, type Wording } from './answers.js';
import { type CompletionJob, prepareJob, TIMEOUT_MS } from './completion-job.js';
import type { LoadedPolicy } from './follower.js';
import { openAIError } from './openai-errors.js';
import type { Asked } from './openai-parameters.js';
import type { Policies } from './policies.js';
import { parseModelName, requirePolicy } from './served-models.js';
import type { Prompt } from './thread.js';

/** The problems that generating ends in, for the documentation of a route. */
export const problemResponses = {
  404: problemResponse('MODEL_NOT_FOUND'),
  413: problemResponse('BODY_TOO_LARGE'),
  415: problemResponse('The body is not declared as JSON'),
  500: problemResponse('MODEL_LOGITS_NOT_FINITE'),
  503: problemResponse('SERVICE_STOPPING; RUNTIME_UNAVAILABLE: the policy is out of reach'),
  504: problemResponse('MODEL_GENERATION_TIMEOUT'),
};

/** Answers a request at once, or as a stream of server-sent chunks that ends with [DONE]. */
export type Answer = (
  c: Context,
  request: Asked,
  prompts: readonly Prompt[],
  wording: Wording<object>,
) => Promise<Response>;

export const createAnswer =
  ({ streams, signal: stopping }: Pick<ServiceContext, 'streams' | 'signal'>, policies: Policies): Answer =>
  (c, request, prompts, wording) => {
    const { run, version } = parseModelName(request.model);
    requirePolicy(policies, run);
    const left = c.req.raw.signal;
    const explained = (error: unknown) => asProblem(error, left, stopping);
    return new Promise<Response>((resolve, reject) => {
      // The policy stays in memory until `answer` resolves: the end of a stream, long after the response has begun.
      const answer = async (policy: LoadedPolicy): Promise<void> => {
        const job = await prepareJob(policy, request, prompts, left);
        if (!request.stream) return resolve(c.json(await answerOf(wording, job, left)));
        await new Promise<void>((done) => {
          resolve(
            streams.sse(c, (sse, signal) => stream(wording, job, sse, signal, explained).finally(done)),
          );
        });
      };
      const answered =
        version === undefined
          ? policies.useNewest(run, { timeoutMs: TIMEOUT_MS, signal: left }, answer)
          : policies.useVersion(run, version, left, answer);
      answered.catch((error) => reject(explained(error)));
    });
  };

async function stream(
  wording: Wording<object>,
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
    await sendChunks(wording, job, signal, (chunk) => send(JSON.stringify(chunk)));
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
  const blaming = (parameter: string) => ({
    errors: [{ path: parameter, message, code: `${code}`.toLowerCase() }],
  });
  switch (code) {
    case 'MODEL_GENERATION_REQUEST':
      return problem(400, code, 'The request cannot be generated', message);
    case 'POLICY_VERSION_UNKNOWN':
      return problem(404, 'MODEL_NOT_FOUND', 'No such version', message, {
        errors: [{ path: 'model', message, code: 'model_not_found' }],
      });
    case 'MODEL_NOT_A_POLICY':
      return problem(400, code, 'The run is of no policy', message);
    case 'MODEL_CHAT_TEMPLATE_MISSING':
      return problem(400, code, 'The policy reads no conversations', message, blaming('messages'));
    case 'MODEL_CHAT_TEMPLATE':
      return problem(
        400,
        code,
        "The policy's chat template takes other messages",
        message,
        blaming('messages'),
      );
    case 'MODEL_CHAT_TEMPLATE_TOOLS':
      return problem(400, code, 'The policy knows no tools', message, blaming('tools'));
    case 'MODEL_GENERATION_TIMEOUT':
      return problem(504, code, 'Generation took too long', message);
    case 'MODEL_LOGITS_NOT_FINITE':
      return problem(500, code, 'The policy cannot be sampled from', message);
    default:
      return error;
  }
}
