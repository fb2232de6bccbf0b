/** OpenAI's /v1/completions, for any policy on the log. */
import { randomUUID } from 'node:crypto';
import { problem, type ServiceContext, validated } from '@rlhf-streams/runtime';
import { z } from 'zod';
import type { LoadedPolicy } from './held.js';
import type { Policies } from './policies.js';

const CompletionRequest = z.strictObject({
  model: z.string().min(1).describe('a run'),
  prompt: z.string(),
  max_tokens: z.int().min(1).max(100_000).default(16),
  temperature: z.number().min(0).max(10).default(1),
  top_p: z.number().gt(0).max(1).default(1),
  top_k: z.int().min(0).default(0),
  n: z.int().min(1).max(128).default(1),
  seed: z.int().min(0).optional(),
});
type CompletionRequest = z.output<typeof CompletionRequest>;

const TIMEOUT_MS = 120_000;

export function serveCompletions({ http, signal }: ServiceContext, policies: Policies): void {
  http.get('/v1/models', (c) =>
    c.json({
      object: 'list',
      data: [...policies.versions.state.values()].map(({ run, version }) => ({
        id: run,
        object: 'model',
        version,
      })),
    }),
  );

  http.post('/v1/completions', validated('json', CompletionRequest), async (c) => {
    const request = c.req.valid('json');
    if (!policies.versions.state.has(request.model)) {
      throw problem(
        404,
        'MODEL_NOT_FOUND',
        'No such policy',
        `expected model to be one of GET /v1/models, got ${request.model}`,
      );
    }
    const seed = request.seed ?? Math.floor(Math.random() * 2 ** 32);
    const completed = await policies
      .useNewest(request.model, { timeoutMs: TIMEOUT_MS, signal }, (policy) =>
        complete(policy, request, seed),
      )
      .catch(asProblem);
    return c.json({
      id: `cmpl-${randomUUID()}`,
      object: 'text_completion',
      created: Math.floor(Date.now() / 1000),
      model: request.model,
      seed,
      ...completed,
    });
  });
}

async function complete(policy: LoadedPolicy, request: CompletionRequest, seed: number) {
  const { tokens, stopToken } = await policy.encode(request.prompt);
  const generated = await Promise.all(
    Array.from({ length: request.n }, (_, index) =>
      policy.generate({
        promptTokens: tokens,
        sampling: {
          temperature: request.temperature,
          topP: request.top_p,
          topK: request.top_k,
          maxNewTokens: request.max_tokens,
          stopTokens: [stopToken],
        },
        seed,
        draws: `completion/${index}`,
        timeoutMs: TIMEOUT_MS,
      }),
    ),
  );
  const completionTokens = generated.reduce((sum, { tokens }) => sum + tokens.length, 0);
  return {
    policy_version: policy.version,
    choices: generated.map(({ text, finishReason }, index) => ({
      index,
      text,
      finish_reason: finishReason,
      logprobs: null,
    })),
    usage: {
      prompt_tokens: tokens.length,
      completion_tokens: completionTokens,
      total_tokens: tokens.length + completionTokens,
    },
  };
}

function asProblem(error: Error & { code?: string }): never {
  if (error.code === 'MODEL_GENERATION_REQUEST')
    throw problem(400, error.code, 'The request cannot be generated', error.message);
  if (error.code === 'MODEL_GENERATION_TIMEOUT')
    throw problem(504, error.code, 'Generation took too long', error.message);
  throw error;
}
