/** What else settings are called: for people who write the name that they know from elsewhere. */
import { z } from 'zod';

/**
 * Names of a setting in TRL, transformers or papers, where they are not its own in another case: `response_length`
 * is `maxNewTokens` here. Errors about unknown settings point from these to the setting.
 */
export const named = z.registry<{ readonly as: readonly string[] }>();
