/** What OpenAI's clients send to /v1/chat/completions. A parameter that is not supported is refused by its name. */
import { z } from 'zod';
import {
  type Asked,
  ignored,
  optional,
  optionalOr,
  STREAM_OPTIONS_ALONE,
  samplingParameters,
  unsupported,
} from './openai-parameters.js';

/** OpenAI's is the context; here the memory of a conversation's keys and values goes by it. */
const DEFAULT_MAX_TOKENS = 512;
const MOST_LIKELIEST = 20;

const Parts = z
  .array(z.strictObject({ type: z.literal('text'), text: z.string() }), {
    error: 'expected a text, or a list of parts {type: "text", text}: models here read text alone',
  })
  .transform((parts) => parts.map(({ text }) => text).join(''));
const Content = z.union([z.string(), Parts], {
  error: 'expected a text, or a list of parts {type: "text", text}: models here read text alone',
});

const Role = z.enum(['system', 'developer', 'user', 'assistant', 'tool']);

const ToolCall = z.looseObject({
  type: z.literal('function'),
  function: z.looseObject({
    name: z.string().min(1),
    // Chat templates write the arguments out as JSON: as OpenAI has them, which is JSON already, they would be quoted.
    arguments: z.string().transform((text) => parsed(text) ?? text),
  }),
});

const Message = z
  .strictObject({
    role: Role,
    content: Content.nullish(),
    name: z.string().optional(),
    tool_calls: z.array(ToolCall).min(1).optional(),
    tool_call_id: z.string().optional(),
    refusal: ignored,
  })
  .superRefine(({ content, tool_calls }, context) => {
    if (content == null && !tool_calls)
      context.addIssue({ code: 'custom', path: ['content'], message: 'expected a text, got none' });
  })
  .transform(({ content, refusal: _, ...message }) => ({ ...message, content: content ?? '' }));

const Tool = z.looseObject({
  type: z.literal('function'),
  function: z.looseObject({ name: z.string().min(1) }),
});

export const ChatRequest = z
  .strictObject({
    ...samplingParameters,
    messages: z.array(Message).min(1),
    max_tokens: optional(z.int().min(1)),
    max_completion_tokens: optional(z.int().min(1)).describe('the same as max_tokens'),
    logprobs: optionalOr(z.boolean(), false),
    top_logprobs: optional(z.int().min(0).max(MOST_LIKELIEST)),
    tools: optional(z.array(Tool)).describe('go into the chat template; what the model calls comes as text'),
    tool_choice: optional(
      z.enum(['auto', 'none'], {
        error: 'is not supported, but for "auto" and "none": nothing makes a model call a tool',
      }),
    ),
    parallel_tool_calls: unsupported(true),
    response_format: unsupported({ type: 'text' }),
    modalities: unsupported(['text']),
    store: unsupported(false),
    service_tier: unsupported('auto', 'default'),
    reasoning_effort: unsupported(null),
    verbosity: unsupported('medium'),
    functions: unsupported(null),
    function_call: unsupported(null),
    audio: unsupported(null),
    prediction: unsupported(null),
    web_search_options: unsupported(null),
    continue_final_message: unsupported(false),
    add_generation_prompt: unsupported(true),
    metadata: ignored,
    safety_identifier: ignored,
    prompt_cache_key: ignored,
  })
  .superRefine((request, context) => {
    const { max_tokens, max_completion_tokens, logprobs, top_logprobs, stream, stream_options } = request;
    const refuse = (parameter: keyof typeof request, message: string) =>
      context.addIssue({ code: 'custom', path: [parameter], message });
    if (max_tokens !== undefined && (max_completion_tokens ?? max_tokens) !== max_tokens)
      refuse(
        'max_tokens',
        `expected max_completion_tokens, ${max_completion_tokens}, or nothing, got ${max_tokens}`,
      );
    if (top_logprobs !== undefined && !logprobs)
      refuse('top_logprobs', 'expected logprobs to be true, or no top_logprobs');
    if (stream_options && !stream) refuse('stream_options', STREAM_OPTIONS_ALONE);
  })
  .transform(
    ({ max_tokens, max_completion_tokens, logprobs, top_logprobs = 0, tools, tool_choice, ...request }) => ({
      ...request,
      maxTokens: max_completion_tokens ?? max_tokens,
      defaultMaxTokens: DEFAULT_MAX_TOKENS,
      logprobs: logprobs ? top_logprobs : undefined,
      echo: false,
      tools: tools?.length && tool_choice !== 'none' ? tools : undefined,
    }),
  )
  .meta({ id: 'ChatCompletionRequest' });
export type ChatRequest = z.output<typeof ChatRequest> & Asked;

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
