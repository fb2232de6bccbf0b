/** Configurations as a gateway takes them of whoever asks. */
import type { RunConfig } from '@rlhf-streams/runs';
import { problem } from '@rlhf-streams/service';
import { z } from 'zod';
import { type Asked, admitted, isOwner } from './admitted.js';
import type { RunsContext } from './context.js';

/** A configuration is an event, and stays in the memory of services: it names data and models, and holds none. */
const MAX_CONFIG_BYTES = 256 * 1024;

/**
 * The configurations as they are to be published.
 * @throws a problem: 413 CONFIG_TOO_LARGE, or 403 PATH_NOT_ALLOWED unless the owner of this process asks.
 */
export async function accepted(
  asked: readonly Asked[],
  bindings: unknown,
  { roots }: Pick<RunsContext, 'roots'>,
): Promise<RunConfig[]> {
  const all = asked.map(({ config, at }) => ({ config: asJson(config, at), at }));
  return isOwner(bindings) ? all.map(({ config }) => config) : admitted(all, roots);
}

/** The configuration as it will come back from the log: JSON has no -0, for example. */
function asJson(config: RunConfig, at: Asked['at']): RunConfig {
  const text = JSON.stringify(config);
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_CONFIG_BYTES)
    throw problem(
      413,
      'CONFIG_TOO_LARGE',
      'The configuration is too large',
      `expected at most ${MAX_CONFIG_BYTES} bytes with defaults filled in, got ${bytes}${at.length > 0 ? ` in ${z.core.toDotPath([...at])}` : ''}`,
    );
  return JSON.parse(text) as RunConfig;
}
