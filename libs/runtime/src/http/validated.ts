import { explainUnknownKeys } from '@rlhf-streams/events';
import { validator } from 'hono/validator';
import type { z } from 'zod';
import { isJson } from './media-type.js';
import { invalidRequest, problem } from './problem.js';

/**
 * Middleware that hands a handler the request's body or query as `schema` describes it: `c.req.valid('json')`.
 * Problems: 400 MALFORMED_JSON, 400 INVALID_REQUEST with a path for every mistake, 415 UNSUPPORTED_MEDIA_TYPE.
 */
export const validated = <Target extends 'json' | 'query', Schema extends z.ZodType>(
  target: Target,
  schema: Schema,
) =>
  validator(target, (value, c): z.output<Schema> => {
    const mediaType = c.req.header('content-type');
    if (target === 'json' && !isJson(mediaType)) {
      const came = mediaType ?? 'none';
      throw problem(
        415,
        'UNSUPPORTED_MEDIA_TYPE',
        'The body is not declared as JSON',
        `expected content-type application/json, got ${came}`,
      );
    }
    const result = schema.safeParse(value, { error: explainUnknownKeys });
    if (!result.success) throw invalidRequest(result.error, target === 'json' ? 'body' : 'query');
    return result.data;
  });
