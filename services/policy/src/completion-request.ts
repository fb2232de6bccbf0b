/** What OpenAI's clients send to /v1/completions. A parameter that is not supported is refused by its name. */
import { z } from 'zod';

/** OpenAI's default. */
const DEFAULT_MAX_TOKENS = 16;
/** The most completions of one request, all its prompts together. */
const MOST_COMPLETIONS = 2048;

/** Clients send null for a parameter that is not set. */
const optional = <Schema extends z.ZodType>(schema: Schema) =>
  schema.nullish().transform((value) => value ?? undefined);
const optionalOr = <Schema extends z.ZodType>(schema: Schema, fallback: z.output<Schema>) =>
  schema.nullish().transform((value) => value ?? fallback);

/** A parameter that is not supported may be sent with the value that asks for nothing. */
const unsupported = (neutral: unknown) =>
  z
    .unknown()
    .optional()
    .refine((value) => value == null || JSON.stringify(value) === JSON.stringify(neutral), {
      error: ({ input }) =>
        `is not supported: expected ${JSON.stringify(neutral)} or nothing, got ${excerpt(input)}`,
    })
    .transform(() => undefined);

const Tokens = z.array(z.int().min(0)).min(1);
const Prompts = z.union(
  [
    z.string().transform((text) => [text]),
    z.array(z.string()).min(1),
    Tokens.transform((tokens) => [tokens]),
    z.array(Tokens).min(1),
  ],
  {
    error:
      'expected a text, a list of texts, a list of token ids, or a list of lists of token ids, none of them empty',
  },
);

const Stop = z.string().min(1);
const Stops = z.union([Stop.transform((stop) => [stop]), z.array(Stop).max(4)], {
  error: 'expected a text or a list of at most 4 texts, of at least one character',
});

export const CompletionRequest = z
  .strictObject({
    model: z.string().min(1).describe('a run'),
    prompt: optionalOr(Prompts, ['']),
    max_tokens: optional(z.int().min(0)),
    temperature: optionalOr(z.number().min(0).max(10), 1),
    top_p: optionalOr(z.number().min(0).max(1), 1),
    top_k: optionalOr(z.int().min(0), 0),
    n: optionalOr(z.int().min(1).max(128), 1),
    best_of: optional(z.int().min(1)),
    seed: optional(z.int()),
    stop: optionalOr(Stops, []),
    logprobs: optional(z.int().min(0).max(5)),
    echo: optionalOr(z.boolean(), false),
    stream: optionalOr(z.boolean(), false),
    stream_options: optional(
      z.strictObject({
        include_usage: optionalOr(z.boolean(), false),
        include_obfuscation: unsupported(false),
      }),
    ),
    user: z.string().nullish().describe('ignored'),
    suffix: unsupported(''),
    presence_penalty: unsupported(0),
    frequency_penalty: unsupported(0),
    logit_bias: unsupported({}),
  })
  .superRefine((request, context) => {
    const { prompt, n, best_of, stream, stream_options } = request;
    const refuse = (parameter: keyof typeof request, message: string) =>
      context.addIssue({ code: 'custom', path: [parameter], message });
    if (best_of !== undefined && best_of !== n)
      refuse(
        'best_of',
        `more completions than are returned are not supported: expected n, ${n}, got ${best_of}`,
      );
    if (prompt.length * n > MOST_COMPLETIONS)
      refuse(
        'n',
        `expected at most ${MOST_COMPLETIONS} completions, got ${prompt.length} prompts with ${n} each`,
      );
    if (stream_options && !stream)
      refuse('stream_options', 'expected stream to be true, or no stream_options');
  })
  .transform(({ max_tokens, ...request }) => ({ ...request, maxTokens: max_tokens }))
  .meta({ id: 'CompletionRequest' });
export type CompletionRequest = z.output<typeof CompletionRequest>;

/**
 * Tokens that may be generated after a prompt: `max_tokens`, or by default 16 or the room that the context has left.
 * undefined: prompt and completion do not fit the context.
 */
export function tokensToGenerate(
  { maxTokens }: Pick<CompletionRequest, 'maxTokens'>,
  promptTokens: number,
  contextLength: number,
): number | undefined {
  const room = contextLength - promptTokens;
  const wanted = maxTokens ?? Math.min(DEFAULT_MAX_TOKENS, Math.max(1, room));
  return wanted <= room ? wanted : undefined;
}

const excerpt = (value: unknown): string => {
  const text = JSON.stringify(value);
  return text.length > 100 ? `${text.slice(0, 100)}...` : text;
};
