/** Parameters that OpenAI's endpoints have in common, and how what is not supported is refused by its name. */
import { z } from 'zod';

/** The most completions of one request, all its prompts together. */
export const MOST_COMPLETIONS = 2048;

/** Clients send null for a parameter that is not set. */
export const optional = <Schema extends z.ZodType>(schema: Schema) =>
  schema.nullish().transform((value) => value ?? undefined);
export const optionalOr = <Schema extends z.ZodType>(schema: Schema, fallback: z.output<Schema>) =>
  schema.nullish().transform((value) => value ?? fallback);

/** A parameter that is not supported may be sent with a value that asks for nothing. */
export const unsupported = (neutral: unknown, ...others: readonly unknown[]) =>
  z
    .unknown()
    .optional()
    .refine(
      (value) =>
        value == null || [neutral, ...others].some((one) => JSON.stringify(value) === JSON.stringify(one)),
      {
        error: ({ input }) =>
          `is not supported: expected ${JSON.stringify(neutral)} or nothing, got ${excerpt(input)}`,
      },
    )
    .transform(() => undefined);

/** A parameter for OpenAI's own bookkeeping. */
export const ignored = z.unknown().optional().describe('ignored');

const Stop = z.string().min(1);
const Stops = z.union([Stop.transform((stop) => [stop]), z.array(Stop).max(4)], {
  error: 'expected a text or a list of at most 4 texts, of at least one character',
});

/** What decides how completions are sampled, and how they are told. */
export const samplingParameters = {
  model: z.string().min(1).describe('a run, or RUN@VERSION; RUN@0 is what it started from'),
  temperature: optionalOr(z.number().min(0).max(10), 1),
  top_p: optionalOr(z.number().min(0).max(1), 1),
  top_k: optionalOr(z.int().min(0), 0),
  n: optionalOr(z.int().min(1).max(128), 1),
  seed: optional(z.int()),
  stop: optionalOr(Stops, []),
  stream: optionalOr(z.boolean(), false),
  stream_options: optional(
    z.strictObject({
      include_usage: optionalOr(z.boolean(), false),
      include_obfuscation: unsupported(false),
    }),
  ),
  user: z.string().nullish().describe('ignored'),
  presence_penalty: unsupported(0),
  frequency_penalty: unsupported(0),
  logit_bias: unsupported({}),
};

const Sampling = z.object(samplingParameters);

/** A request for completions, whichever endpoint it came to. */
export interface Asked
  extends Pick<
    z.output<typeof Sampling>,
    'model' | 'temperature' | 'top_p' | 'top_k' | 'n' | 'seed' | 'stop' | 'stream' | 'stream_options'
  > {
  /** Tokens that a completion may have; undefined: `defaultMaxTokens`, or as many as there is room for. */
  readonly maxTokens: number | undefined;
  readonly defaultMaxTokens: number;
  /** Log-probs of the tokens are told, and of this many of the likeliest. */
  readonly logprobs: number | undefined;
  /** The prompt goes before the completion. */
  readonly echo: boolean;
}

/**
 * Tokens that may be generated after a prompt: as many as are asked for, or by default as many as there is room for.
 * undefined: prompt and completion do not fit the context.
 */
export function tokensToGenerate(
  { maxTokens, defaultMaxTokens }: Pick<Asked, 'maxTokens' | 'defaultMaxTokens'>,
  promptTokens: number,
  contextLength: number,
): number | undefined {
  const room = contextLength - promptTokens;
  const wanted = maxTokens ?? Math.min(defaultMaxTokens, Math.max(1, room));
  return wanted <= room ? wanted : undefined;
}

export const STREAM_OPTIONS_ALONE = 'expected stream to be true, or no stream_options';

const excerpt = (value: unknown): string => {
  const text = JSON.stringify(value);
  return text.length > 100 ? `${text.slice(0, 100)}...` : text;
};
