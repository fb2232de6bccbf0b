/** Problem details as the OpenAPI document shows them; the runtime makes them. */
import type { ProblemDetails } from '@rlhf-streams/service';
import { z } from 'zod';

const Problem = z
  .object({
    type: z.string().describe('a URN, one for each code'),
    title: z.string(),
    status: z.int(),
    detail: z.string().optional(),
    instance: z.string().describe('path of the request'),
    code: z.string().describe('stable and machine-readable'),
    errors: z
      .array(z.object({ path: z.string(), message: z.string(), code: z.string() }))
      .readonly()
      .optional()
      .describe('every mistake of the request, by its path'),
  })
  .meta({ id: 'Problem' }) satisfies z.ZodType<ProblemDetails>;

/** A response of an OpenAPI route. */
export const problemResponse = (description: string) => ({
  description,
  content: { 'application/problem+json': { schema: Problem } },
});
