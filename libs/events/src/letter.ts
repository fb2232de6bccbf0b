/** What a dead letter is about: records that could not be handled may hold anything. */
import { RunId } from './schemas.js';
import type { DataFor } from './topics.js';

type Letter = DataFor<'record.rejected'>;

/** Topics whose keys begin with the run: `run`, or `run/step/index`. */
const KEYED_BY_RUN = new Set([
  'runs',
  'steps',
  'prompts',
  'rollouts',
  'rewards',
  'reference-logprobs',
  'demonstrations',
  'comparisons',
  'policy-versions',
  'training-metrics',
]);

/** The run that the rejected record names as its own, or else its key. */
export function runOfLetter({ source, key, value }: Letter): string | undefined {
  const named = runIn(Buffer.from(value, 'base64').toString());
  if (named !== undefined) return named;
  const [first] = key.split('/');
  return KEYED_BY_RUN.has(source.topic) && isRunId(first) ? first : undefined;
}

function runIn(text: string): string | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // The record may have been rejected because it is no JSON.
    return undefined;
  }
  const run = (json as { run?: unknown } | null)?.run;
  return isRunId(run) ? run : undefined;
}

const isRunId = (value: unknown): value is string => RunId.safeParse(value).success;
