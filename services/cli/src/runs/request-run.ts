/** Requests runs of a gateway, one or several together, as any client does over HTTP. */
import type { Experiment as ExperimentView, Run } from '@rlhf-streams/gateway';
import {
  type ExperimentInput,
  neverStarted,
  parseExperiment,
  parseRunConfig,
  type RunConfigInput,
} from '@rlhf-streams/runs';
import { ProblemError } from '@rlhf-streams/service';
import { retry, untilAborted } from '@rlhf-streams/waiting';
import { CliError } from '../errors.js';
import type { Client } from '../place/client.js';
import { isPassing, problemOf } from './problems.js';

/**
 * Requests a run, unless the log has it already. One that ended before it was started is requested anew.
 * @throws RunError TRAINING_CONFIG_INVALID; CliError CLI_RUN_EXISTS, naming the settings that differ, when the log has
 *   another run of the name; ProblemError with the gateway's code; the signal's reason.
 */
export async function requestRun(
  client: Pick<Client, 'request'>,
  config: RunConfigInput,
  signal?: AbortSignal,
): Promise<void> {
  const parsed = parseRunConfig(config);
  await post(client, '/v1/runs', parsed, signal).catch((error) => {
    if (!isTaken(error)) throw error;
    const differing = error.errors?.map(({ path }) => path).join(', ');
    throw new CliError(
      'CLI_RUN_EXISTS',
      `run ${parsed.run} exists with another configuration${differing ? `, which differs in ${differing}` : ''}: give this one another name`,
      { cause: error },
    );
  });
}

/**
 * Requests the runs of an experiment together, those that the log lacks: all of them, or none.
 * @throws as `requestRun` does; ProblemError RUN_SOURCE_UNKNOWN for a run that builds on one that nobody requested.
 */
export async function requestExperiment(
  client: Pick<Client, 'request'>,
  experiment: ExperimentInput,
  signal?: AbortSignal,
): Promise<void> {
  const parsed = parseExperiment(experiment);
  await post(client, '/v1/experiments', parsed, signal).catch((error) => {
    if (!isTaken(error)) throw error;
    const named = (path: string) =>
      path.replace(/^runs\[(\d+)\]/, (_, index: string) => parsed.runs[Number(index)]!.run);
    const differing = error.errors?.map(({ path, message }) => `${named(path)}: ${message}`).join('\n  ');
    throw new CliError(
      'CLI_RUN_EXISTS',
      `the runs of experiment ${parsed.experiment} exist otherwise than it asks for them: give them other names\n  ${differing}`,
      { cause: error },
    );
  });
}

/** How far the runs of an experiment are, or undefined while the gateway cannot answer. @throws the signal's reason. */
export async function lookAt(
  { request }: Pick<Client, 'request'>,
  experiment: string,
  signal: AbortSignal,
): Promise<ExperimentView | undefined> {
  const response = await untilAborted(request(`/v1/experiments/${experiment}`), signal);
  if (response.ok) return (await response.json()) as ExperimentView;
  const error = await problemOf(response);
  if (isPassing(error)) return undefined;
  throw error;
}

/** Lets a completed run go on to more steps. @throws ProblemError with the gateway's code. */
export async function extendRun(
  { request }: Pick<Client, 'request'>,
  run: string,
  length: { readonly steps?: number | undefined; readonly epochs?: number | undefined },
): Promise<Run> {
  const response = await request(`/v1/runs/${run}/extend`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(length),
  });
  if (!response.ok) throw await problemOf(response);
  return (await response.json()) as Run;
}

/** Ends a run that has not ended. @throws ProblemError with the gateway's code. */
export async function cancelRun(
  { request }: Pick<Client, 'request'>,
  run: string,
  reason = 'cancelled by command',
): Promise<void> {
  const response = await request(`/v1/runs/${run}/cancel`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ reason }),
  });
  if (!response.ok) throw await problemOf(response);
}

/** Whether the log has a run that is not to be requested anew. @throws the signal's reason. */
export async function isThere(
  { request }: Pick<Client, 'request'>,
  run: string,
  signal: AbortSignal,
): Promise<boolean> {
  const response = await untilAborted(request(`/v1/runs/${run}`), signal);
  if (response.status === 404) return false;
  if (!response.ok) throw await problemOf(response);
  return !neverStarted((await response.json()) as Run);
}

/** Times that a request is repeated which the log did not confirm, over some 40 seconds. */
const REPEATS = 10;
const REPEAT_MS = 500;

async function post(
  { request }: Pick<Client, 'request'>,
  path: string,
  body: object,
  signal: AbortSignal | undefined,
): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const once = async () => {
    const response = await request(path, { method: 'POST', headers, body: JSON.stringify(body) });
    if (!response.ok) throw await problemOf(response);
  };
  await retry(once, { shouldRetry: isPassing, retries: REPEATS, minDelayMs: REPEAT_MS, signal });
}

const isTaken = (error: unknown): error is ProblemError =>
  error instanceof ProblemError && error.code === 'RUN_EXISTS';
