/** What a dead letter is about: records that could not be handled may hold anything. */
import { RunId } from './schemas.js';
import { archivedTopics, type DataFor } from './topics.js';

type Letter = DataFor<'record.rejected'>;

/** The keys of archived topics begin with the run: `run`, or `run/step/index`. */
const KEYED_BY_RUN: ReadonlySet<string> = new Set(archivedTopics);

/** The run that the rejected record names as its own, or else its key. */
export function runOfLetter({ source, key, value }: Letter): string | undefined {
  const named = runIn(Buffer.from(value, 'base64').toString());
  if (named !== undefined) return named;
  const [first] = key.split('/');
  return KEYED_BY_RUN.has(source.topic) && isRunId(first) ? first : undefined;
}

/** The run that the value of a record names, whatever else it holds; undefined for what is no JSON or names none. */
export function runIn(text: string): string | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  const run = (json as { run?: unknown } | null)?.run;
  return isRunId(run) ? run : undefined;
}

const isRunId = (value: unknown): value is string => RunId.safeParse(value).success;
