import { explainMistake } from '@rlhf-streams/events';
import { validator } from 'hono/validator';
import type { z } from 'zod';
import { expectJson } from './media-type.js';
import { invalidRequest } from './problem.js';

/**
 * Middleware that hands a handler the request's body as `schema` describes it: `c.req.valid('json')`.
 * Problems: 400 MALFORMED_JSON, 400 INVALID_REQUEST with the path of every mistake, what was expected there and what
 * came, 415 UNSUPPORTED_MEDIA_TYPE.
 */
export const validatedBody = <Schema extends z.ZodType>(schema: Schema) =>
  validator('json', (value, c): z.output<Schema> => {
    expectJson(c.req.header('content-type'));
    const result = schema.safeParse(value, { error: explainMistake });
    if (!result.success) throw invalidRequest(result.error, 'body');
    return result.data;
  });
